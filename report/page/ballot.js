"use strict";
// Counts votes; names stay hidden until they are asked for.
(() => {
  const key = JSON.parse(document.getElementById("key").textContent);
  const chosen = () =>
    [...document.querySelectorAll("input[type=radio]:checked")].map((input) => ({
      document: Number(input.name.slice("best-".length)),
      place: input.value,
    }));

  const count = () => {
    const votes = chosen();
    document.getElementById("votes").textContent =
      votes.length + " of " + key.length + " documents have a vote.";
    const sums = new Map();
    for (const models of key) for (const model of models) sums.set(model, 0);
    sums.set("no difference", 0);
    for (const vote of votes) {
      const model =
        vote.place === "none" ? "no difference" : key[vote.document][Number(vote.place)];
      sums.set(model, sums.get(model) + 1);
    }
    const rows = document.querySelector("#count tbody");
    rows.replaceChildren();
    for (const [model, sum] of sums) {
      const row = rows.insertRow();
      row.insertCell().textContent = model;
      const cell = row.insertCell();
      cell.className = "number";
      cell.textContent = sum;
    }
  };

  count();
  document.addEventListener("change", count);
  document.getElementById("reveal").addEventListener("click", () => {
    for (const name of document.querySelectorAll("[data-document]")) {
      name.textContent = key[Number(name.dataset.document)][Number(name.dataset.place)];
    }
    document.getElementById("count").hidden = false;
    count();
  });
})();
