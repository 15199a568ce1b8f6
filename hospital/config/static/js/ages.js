// Rewrites <time class="age"> as "5 min. ago" in the page's language and keeps it true.

const words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", {
  numeric: "auto",
  style: "short",
});
const STEPS = [
  [60, 1, "second"],
  [3_600, 60, "minute"],
  [86_400, 3_600, "hour"],
  [7 * 86_400, 86_400, "day"],
];

function age(element) {
  const seconds = Math.max(0, (Date.now() - Date.parse(element.dateTime)) / 1_000);
  const step = STEPS.find(([limit]) => seconds < limit);
  if (!step) return; // older than a week: the date itself says more
  const [, unit, name] = step;
  const text = name === "second" ? words.format(0, "second") : words.format(-Math.floor(seconds / unit), name);
  if (element.textContent !== text) element.textContent = text;
}

function all() {
  document.querySelectorAll("time.age").forEach(age);
}

all();
window.setInterval(all, 15_000);
document.addEventListener("htmx:afterSettle", all);
