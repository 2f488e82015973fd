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

// One menu at a time, and none once the reader is elsewhere.
for (const menu of document.querySelectorAll("details.menu")) {
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
}

for (const button of document.querySelectorAll("button[data-copy]")) {
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
  document.querySelectorAll("form[method=post] button").forEach((button) => (button.disabled = false));
});
