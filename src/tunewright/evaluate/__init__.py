"""Evaluation: systems answer the held-out rows, and their answers become numbers with intervals and paired tests."""

from tunewright.evaluate.answer import Answers, answer_examples, choose_shots
from tunewright.evaluate.bag_of_words import bag_of_words
from tunewright.evaluate.classes import answer_classes, predict_classes
from tunewright.evaluate.documents import score_documents
from tunewright.evaluate.evaluate import Evaluation, evaluate, score
from tunewright.evaluate.probing import Asked, Finding, run_probes
from tunewright.evaluate.speaker import EndpointSpeaker, LocalSpeaker, Said, Speaker
from tunewright.evaluate.statistics import Interval, Paired
from tunewright.evaluate.stored import load_answers, store_answers
from tunewright.evaluate.success import Verdict, check_success

__all__ = [
    "Answers",
    "Asked",
    "EndpointSpeaker",
    "Evaluation",
    "Finding",
    "Interval",
    "LocalSpeaker",
    "Paired",
    "Said",
    "Speaker",
    "Verdict",
    "answer_classes",
    "answer_examples",
    "bag_of_words",
    "check_success",
    "choose_shots",
    "evaluate",
    "load_answers",
    "predict_classes",
    "run_probes",
    "score",
    "score_documents",
    "store_answers",
]
