// Keys for who wants them; every page works without.
"use strict";

const form = document.getElementById("answer");
const isTyping = (target) => target.matches("textarea, input[type=text]");

function chooseByKey(event) {
  const button = [...form.querySelectorAll("button[data-key]")].find(
    (each) => each.dataset.key === event.key || each.dataset.arrow === event.key,
  );
  if (!button) return false;
  button.click();
  return true;
}

// A digit goes to the first scale that has no point yet, or to the one that has the focus.
function rateByKey(event) {
  if (event.key === "Enter" && !event.target.closest("button, summary, a")) {
    form.requestSubmit();
    return true;
  }
  if (!/^[0-9]$/.test(event.key)) return false;
  const scales = [...form.querySelectorAll("fieldset")];
  const scale = event.target.closest("fieldset") || scales.find((each) => !each.querySelector(":checked")) || scales[0];
  const point = scale && scale.querySelector(`input[value="${event.key}"]`);
  if (!point) return false;
  point.checked = true;
  const next = scales.find((each) => !each.querySelector(":checked"));
  if (next) next.scrollIntoView({ block: "nearest" });
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || isTyping(event.target)) return;
  const goOn = document.getElementById("go-on");
  if (goOn && event.key === "Enter" && !event.target.closest("a, button")) {
    goOn.click();
    return;
  }
  if (!form) return;
  const done = form.querySelector("fieldset") ? rateByKey(event) : chooseByKey(event);
  if (done) event.preventDefault();
});

// One press is one answer, however long the way to the server is.
for (const each of document.forms) {
  each.addEventListener("submit", (event) => {
    if (each.dataset.sent) event.preventDefault();
    each.dataset.sent = "yes";
  });
}
// A page that is gone back to may be sent again: the server knows which task is asked.
window.addEventListener("pageshow", () => {
  for (const each of document.forms) delete each.dataset.sent;
});
