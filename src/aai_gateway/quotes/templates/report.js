// Jumps to a quote and stops at its end; marks the quote and the place that are being played.
(() => {
  const player = document.querySelector("audio");
  const head = document.getElementById("head");
  const quotes = [...document.querySelectorAll("[data-start]")];
  const duration = Number(document.body.dataset.duration);
  if (!player) return;
  let until = null;
  const play = (quote) => {
    until = Number(quote.dataset.end) / 1000;
    player.currentTime = Number(quote.dataset.start) / 1000;
    player.play().catch(() => {});
  };
  for (const button of document.querySelectorAll("button[data-quote]")) {
    button.hidden = false;
    button.addEventListener("click", () => play(document.getElementById(button.dataset.quote)));
  }
  for (const mark of document.querySelectorAll("a.mark")) {
    mark.addEventListener("click", () => play(document.querySelector(mark.getAttribute("href"))));
  }
  document.getElementById("line").addEventListener("click", (event) => {
    if (event.target.closest("a")) return;
    const box = document.getElementById("line").getBoundingClientRect();
    until = null;
    player.currentTime = ((event.clientX - box.left) / box.width) * duration / 1000;
    player.play().catch(() => {});
  });
  player.addEventListener("timeupdate", () => {
    const now = player.currentTime * 1000;
    if (until !== null && player.currentTime >= until) {
      player.pause();
      until = null;
    }
    head.setAttribute("x1", `${(100 * now) / duration}%`);
    head.setAttribute("x2", `${(100 * now) / duration}%`);
    head.removeAttribute("visibility");
    for (const quote of quotes) {
      const isOn = !player.paused && now >= Number(quote.dataset.start) && now < Number(quote.dataset.end);
      quote.classList.toggle("on", isOn);
    }
  });
  player.addEventListener("pause", () => quotes.forEach((quote) => quote.classList.remove("on")));
  player.addEventListener("error", () => { document.getElementById("no-audio").hidden = false; }, true);
})();
