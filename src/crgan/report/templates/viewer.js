// Sliders move through the slices of a patient, boxes hide and show layers. Without this script the slice that tells most is shown.
"use strict";
for (const viewer of document.querySelectorAll(".viewer")) {
  const stage = viewer.querySelector(".stage");
  const input = viewer.querySelector("input[type=range]");
  if (!input) continue;
  const slices = [...viewer.querySelector("template").content.querySelectorAll("svg")];
  slices.splice(Number(input.value), 0, stage.firstElementChild);
  const show = () => {
    const slice = slices[Number(input.value)];
    stage.replaceChildren(slice);
    const words = slice.getAttribute("aria-label");
    viewer.querySelector("output").textContent = words;
    input.setAttribute("aria-valuetext", words);
  };
  input.addEventListener("input", show);
  show();
  input.closest(".slider").hidden = false;
}
for (const legend of document.querySelectorAll(".legend")) {
  const section = legend.closest(".viewers");
  for (const box of legend.querySelectorAll("input")) {
    box.addEventListener("change", () => section.classList.toggle("no-" + box.value, !box.checked));
  }
  legend.querySelector(".layers").hidden = false;
}
