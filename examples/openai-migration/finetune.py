"""Fine-tune a support assistant with OpenAI's API: upload, create, wait, and talk to the result."""

import sys
import time
from pathlib import Path

from openai import OpenAI

client = OpenAI()  # OPENAI_API_KEY and OPENAI_BASE_URL from the environment
examples = Path(__file__).with_name("support.jsonl")

training_file = client.files.create(file=examples.open("rb"), purpose="fine-tune")
print(f"Uploaded {training_file.filename} as {training_file.id} ({training_file.bytes} bytes)")

job = client.fine_tuning.jobs.create(
    model="gpt-4o-mini-2024-07-18",
    training_file=training_file.id,
    suffix="support",
    seed=7,
    method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3, "batch_size": 4}}},
)
print(f"Created {job.id}")

seen = set()
while True:
    job = client.fine_tuning.jobs.retrieve(job.id)
    for event in reversed(client.fine_tuning.jobs.list_events(job.id, limit=50).data):
        if event.id not in seen:
            seen.add(event.id)
            print(f"  {event.message}")
    if job.status in ("succeeded", "failed", "cancelled"):
        break
    time.sleep(2)

if job.status != "succeeded":
    sys.exit(f"The job has {job.status}: {job.error.message if job.error else 'no reason given'}")

print(f"Fine-tuned model: {job.fine_tuned_model}")
completion = client.chat.completions.create(
    model=job.fine_tuned_model,
    messages=[
        {"role": "system", "content": "You sort messages to a lamp shop. Answer with one word."},
        {"role": "user", "content": "My lamp arrived with a cracked shade."},
    ],
    max_tokens=16,
    temperature=0,
)
print(f"Answer: {completion.choices[0].message.content}")
print(f"Tokens: {completion.usage.total_tokens}")
