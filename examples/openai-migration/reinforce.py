"""Reinforcement fine-tuning with OpenAI's API: questions without answers, and a grader that says what is good."""

import sys
import time
from pathlib import Path

from openai import OpenAI

client = OpenAI()  # OPENAI_API_KEY and OPENAI_BASE_URL from the environment
MODEL = "gpt-4o-mini-2024-07-18"
questions = Path(__file__).with_name("questions.jsonl")

# How like the answer is to the category: 1 for the word alone, a little for a sentence around it.
grader = {
    "type": "text_similarity",
    "name": "sorted",
    "evaluation_metric": "fuzzy_match",
    "input": "{{sample.output_text}}",
    "reference": "{{item.category}}",
}

training_file = client.files.create(file=questions.open("rb"), purpose="fine-tune")
job = client.fine_tuning.jobs.create(
    model=MODEL,
    training_file=training_file.id,
    suffix="sorted",
    seed=7,
    method={
        "type": "reinforcement",
        "reinforcement": {
            "grader": grader,
            # One word is asked for: what is longer than eight tokens need not be written to its end.
            "hyperparameters": {
                "n_epochs": 10,
                "batch_size": 12,
                "learning_rate_multiplier": 5.0,
                "max_completion_tokens": 8,  # not OpenAI's: leave it out there
            },
        },
    },
)
print(f"Created {job.id}")

seen = set()
while job.status not in ("succeeded", "failed", "cancelled"):
    time.sleep(2)
    job = client.fine_tuning.jobs.retrieve(job.id)
    for event in reversed(client.fine_tuning.jobs.list_events(job.id, limit=50).data):
        if event.id not in seen:
            seen.add(event.id)
            print(f"  {event.message}", flush=True)

if job.status != "succeeded":
    sys.exit(f"The job has {job.status}: {job.error.message if job.error else 'no reason given'}")

print(f"Fine-tuned model: {job.fine_tuned_model}")
system = {
    "role": "system",
    "content": "You sort messages to a lamp shop. Answer with one word: damaged, delivery, question or refund.",
}
for question in ("My lamp arrived with a cracked shade.", "When will my order come?"):
    asked = [system, {"role": "user", "content": question}]
    answer = client.chat.completions.create(model=job.fine_tuned_model, messages=asked, max_tokens=16, temperature=0)
    print(f"{question} -> {answer.choices[0].message.content}")
