// A click on a column's title sorts the kernels by it, names from a on and numbers from the largest
// on; a second one the other way round.
for (const title of document.querySelectorAll("table.kernels th")) {
  title.classList.add("sorts");
  title.tabIndex = 0;
  const sort = () => {
    const body = title.closest("table").tBodies[0];
    const now = title.getAttribute("aria-sort");
    const down = title.classList.contains("text") ? now === "ascending" : now !== "descending";
    for (const other of title.parentNode.children) other.removeAttribute("aria-sort");
    title.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[title.cellIndex].dataset.value;
    const compare = (a, b) =>
      isNaN(value(a)) || isNaN(value(b)) ? value(b).localeCompare(value(a)) : value(b) - value(a);
    const rows = [...body.rows].sort((a, b) => (down ? compare(a, b) : compare(b, a)));
    body.append(...rows);
  };
  title.addEventListener("click", sort);
  title.addEventListener("keydown", (event) => {
    if (event.key === "Enter") sort();
  });
}
