// Writes amounts, counts and moments again in the reader's language and time zone. Without it the page says
// the same in English and UTC.
const locale = navigator.languages?.length ? [...navigator.languages] : undefined;
const formats = new Map();

function number(options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(locale, options));
  return formats.get(key);
}

const shapes = {
  moment: new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }),
  date: new Intl.DateTimeFormat(locale, { dateStyle: "medium" }),
  time: new Intl.DateTimeFormat(locale, { timeStyle: "short" }),
  // A UTC day belongs to the books: it is written in the reader's language and stays the same day.
  day: new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" }),
};

const writers = {
  usd: (value, { digits }) =>
    number({
      style: "currency",
      currency: "USD",
      currencyDisplay: "narrowSymbol",
      minimumFractionDigits: Number(digits),
      maximumFractionDigits: Number(digits),
    }).format(value),
  count: (value) => number({}).format(value),
  ms: (value) => `${number({ minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value * 1000)} ms`,
  audio: (value) => {
    const [amount, unit] = value >= 3600 ? [value / 3600, "h"] : [value / 60, "min"];
    return `${number({ minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(amount)} ${unit}`;
  },
};

function write(root) {
  for (const element of root.querySelectorAll("data[value]")) {
    const writer = writers[element.className];
    if (writer) element.textContent = writer(Number(element.value), element.dataset);
  }
  for (const element of root.querySelectorAll("time[data-shape]")) {
    const moment = new Date(element.dateTime);
    if (!Number.isNaN(moment.valueOf())) element.textContent = shapes[element.dataset.shape].format(moment);
  }
}

write(document);

// An open menu closes with Escape and when the reader is elsewhere.
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// A page that is left open keeps up, unless the reader is in the middle of something in it.
const EVERY = 60_000;
const main = document.querySelector("main[data-fresh]");
const told = document.getElementById("fresh");

function isInUse() {
  return (
    main.contains(document.activeElement) ||
    main.querySelector("details[open]") !== null ||
    !(document.getSelection()?.isCollapsed ?? true)
  );
}

async function refresh() {
  if (document.visibilityState !== "visible" || isInUse()) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected) return location.assign(answer.url);
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("main");
    if (isInUse()) return;
    main.replaceChildren(...fresh.childNodes);
    write(main);
    tell("Up to date at");
  } catch {
    tell("The gateway did not answer; these are the figures of");
  }
}

let upTo = new Date();

function tell(text) {
  if (text.startsWith("Up")) upTo = new Date();
  told.textContent = `${text} ${new Intl.DateTimeFormat(locale, { timeStyle: "short" }).format(upTo)}.`;
}

if (main) {
  tell("Up to date at");
  setInterval(refresh, EVERY);
  document.addEventListener("visibilitychange", () => {
    if (Date.now() - upTo > EVERY) refresh();
  });
}

// While the next page is on its way, a line at the top says so.
let isDownload = false;
document.addEventListener("click", (event) => {
  isDownload = event.target.closest?.("a[download]") !== null;
});
window.addEventListener("beforeunload", () => {
  if (!isDownload) document.documentElement.classList.add("loading");
});

// Only pages that came by HTTPS, or from this machine, may copy.
for (const button of navigator.clipboard ? document.querySelectorAll("button[data-copy]") : []) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = "Copied";
  });
}

// A form that was sent is not sent twice by an impatient second click.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => {
    setTimeout(() => form.querySelectorAll("button").forEach((button) => (button.disabled = true)));
  });
}
window.addEventListener("pageshow", () => {
  document.documentElement.classList.remove("loading");
  document.querySelectorAll("form[method=post] button").forEach((button) => (button.disabled = false));
});
