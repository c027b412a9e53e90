"""The page of an eval's run, for people: its counts, its criteria, and the rows that did not pass."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from tunewright.store.records import Record

MOST_ROWS = 200

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ run.name }}</title>
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  div { overflow-x: auto }
  table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
  td { min-width: 8rem }
  td.number { min-width: 0 }
  th, td { border-bottom: 1px solid #8886; padding: .4rem .6rem; text-align: left; vertical-align: top }
  td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font: inherit }
</style>
<h1>{{ run.name }}</h1>
<p>{{ run.status }}{% if run.model %}, answered by <b>{{ run.model }}</b>{% endif %}:
{{ counts.passed }} of {{ counts.total }} rows passed, {{ counts.failed }} did not,
{{ counts.errored }} could not be graded.{% if run.error.message %} {{ run.error.message }}{% endif %}</p>
<div><table>
<tr><th>Criterion</th><th class="number">passed</th><th class="number">failed</th></tr>
{% for each in run.per_testing_criteria_results %}
<tr><td>{{ each.testing_criteria }}</td><td class="number">{{ each.passed }}</td>
<td class="number">{{ each.failed }}</td></tr>
{% endfor %}
</table></div>
{% if items %}
<h2>Rows that did not pass</h2>
<div><table>
<tr><th class="number">Row</th><th>Row's fields</th><th>Answer</th><th>Grades</th></tr>
{% for item in items %}
<tr><td class="number">{{ item.datasource_item_id }}</td>
<td>{% for name, value in item.datasource_item.items() %}<pre><b>{{ name }}</b> {{ value }}</pre>{% endfor %}</td>
<td>{% for each in item.sample.output %}<pre>{{ each.content }}</pre>{% endfor %}</td>
<td>{% for each in item.results %}<pre>{{ each.name }}: {{ '%.3g' % each.score }}
{%- if each.sample and each.sample.error %} ({{ each.sample.error.message }}){% endif %}</pre>{% endfor %}</td></tr>
{% endfor %}
</table></div>
{% if more %}<p>Only the first {{ items | length }} are shown; the API lists all of them.</p>{% endif %}
{% endif %}
</html>
"""


def page_of(run: Record, items: Iterable[Record]) -> str:
    """The page as HTML; every text of rows and answers is escaped.

    Args:
        items: Those of the run, graded so far.
    """
    from jinja2 import Environment

    left = (item.body for item in items if item.body["status"] != "pass")
    shown = [*islice(left, MOST_ROWS)]
    template = Environment(autoescape=True, trim_blocks=True).from_string(_PAGE)
    more = next(left, None) is not None
    return template.render(run=run.body, counts=run.body["result_counts"], items=shown, more=more)
