"""Evaluation: systems answer the held-out rows, and their answers become numbers with intervals and paired tests."""

from tunewright.evaluate.answer import Answers, answer_examples, choose_shots
from tunewright.evaluate.bag_of_words import bag_of_words
from tunewright.evaluate.candidates import answer_with_candidates, choose, score_candidates
from tunewright.evaluate.classes import answer_classes, predict_classes
from tunewright.evaluate.cuts import unknown_cuts
from tunewright.evaluate.documents import score_documents
from tunewright.evaluate.evaluate import Evaluation, evaluate, score
from tunewright.evaluate.gate import Ruling, check_gate, parse_slice
from tunewright.evaluate.oddities import Oddities
from tunewright.evaluate.paired import Difference, difference, differences, holm, randomisation
from tunewright.evaluate.power import assumed_discordance, detectable_mean, detectable_share
from tunewright.evaluate.probing import Asked, Finding, run_probes
from tunewright.evaluate.slices import Slice, Slices, Slicing, slice_up
from tunewright.evaluate.speaker import EndpointSpeaker, LocalSpeaker, Said, Speaker
from tunewright.evaluate.statistics import Interval, Paired
from tunewright.evaluate.stored import load_answers, store_answers
from tunewright.evaluate.success import Verdict, check_success

__all__ = [
    "Answers",
    "Asked",
    "Difference",
    "EndpointSpeaker",
    "Evaluation",
    "Finding",
    "Interval",
    "LocalSpeaker",
    "Oddities",
    "Paired",
    "Ruling",
    "Said",
    "Slice",
    "Slices",
    "Slicing",
    "Speaker",
    "Verdict",
    "answer_classes",
    "answer_examples",
    "answer_with_candidates",
    "assumed_discordance",
    "bag_of_words",
    "check_gate",
    "check_success",
    "choose",
    "choose_shots",
    "detectable_mean",
    "detectable_share",
    "difference",
    "differences",
    "evaluate",
    "holm",
    "load_answers",
    "parse_slice",
    "predict_classes",
    "randomisation",
    "run_probes",
    "score",
    "score_candidates",
    "score_documents",
    "slice_up",
    "store_answers",
    "unknown_cuts",
]
