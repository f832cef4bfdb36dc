// Boxes of one digest light up together.
for (const type of ["mouseover", "mouseout"]) {
  document.addEventListener(type, (event) => {
    const box = event.target.closest("[data-digest]");
    if (!box) return;
    for (const other of document.querySelectorAll("[data-digest]"))
      if (other.dataset.digest === box.dataset.digest) other.classList.toggle("lit", type === "mouseover");
  });
}
