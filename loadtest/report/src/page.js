// Values of what is pointed at, faster than the browser's own titles, which they replace. Without this they are still there.
const tip = document.body.appendChild(document.createElement("div"));
tip.className = "tip";
tip.hidden = true;
for (const hit of document.querySelectorAll(".hit")) {
  const title = hit.querySelector("title");
  hit.dataset.values = title.textContent;
  title.remove();
}
function show(event) {
  const hit = event.target.closest(".hit");
  tip.hidden = !hit;
  if (!hit) return;
  tip.textContent = hit.dataset.values;
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  const left = event.clientX + 14 > room ? event.clientX - tip.offsetWidth - 14 : event.clientX + 14;
  tip.style.left = Math.max(8, left) + "px";
  tip.style.top = Math.max(8, event.clientY - tip.offsetHeight - 12) + "px";
}
document.addEventListener("pointermove", show);
document.addEventListener("pointerdown", show);
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
