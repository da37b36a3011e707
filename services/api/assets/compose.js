// Preview and code follow what is chosen, annotations get another row, and a button copies each code.
(function () {
  var form = document.querySelector("form.compose"), turn = 0, waiting;
  if (!form) return;
  form.querySelector(".buttons").hidden = true; // nothing has to be sent

  function copies(root) {
    root.querySelectorAll("textarea[data-code]").forEach(function (area) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.className = "copy";
      button.setAttribute("aria-label", "Copy " + (area.getAttribute("aria-label") || "code").toLowerCase());
      area.insertAdjacentElement("afterend", button);
      button.addEventListener("click", function () {
        area.select();
        var done = function () { button.textContent = "Copied"; setTimeout(function () { button.textContent = "Copy"; }, 2000); };
        if (navigator.clipboard) navigator.clipboard.writeText(area.value).then(done, function () { if (document.execCommand("copy")) done(); });
        else if (document.execCommand("copy")) done();
      });
    });
  }
  copies(document);

  function rows() {
    var notes = form.querySelector(".notes"), all = notes.querySelectorAll("p"), last = all[all.length - 1];
    if (all.length >= +notes.dataset.most || !last.lastElementChild.value) return;
    var next = last.cloneNode(true);
    next.querySelectorAll("input").forEach(function (i) { i.value = ""; i.removeAttribute("value"); });
    notes.appendChild(next);
  }
  function range() {
    var fixed = form.elements.range.value === "fixed";
    form.elements.from.disabled = form.elements.to.disabled = !fixed;
  }
  range();

  function follow() {
    var mine = ++turn, address = location.pathname + "?" + new URLSearchParams(new FormData(form));
    fetch(address).then(function (answer) { return answer.text().then(function (text) {
      if (mine !== turn) return;
      var page = new DOMParser().parseFromString(text, "text/html"), said = document.getElementById("wrong");
      if (!answer.ok) { // half-typed: what is wrong is said, and the rest stays
        if (!said) {
          said = document.createElement("p");
          said.id = "wrong";
          said.className = "notice long";
          said.setAttribute("role", "alert");
          form.appendChild(said);
        }
        said.textContent = page.querySelector(".lede") ? page.querySelector(".lede").textContent : "This cannot be shown.";
        return;
      }
      if (said) said.remove();
      history.replaceState(null, "", address);
      var frame = document.querySelector(".preview"), next = page.querySelector(".preview").getAttribute("src");
      if (frame.getAttribute("src") !== next) frame.setAttribute("src", next);
      page.querySelectorAll("textarea[data-code]").forEach(function (area) {
        var own = document.querySelector('textarea[data-code="' + area.dataset.code + '"]');
        if (own) own.value = area.value;
      });
      document.getElementById("kind").textContent = page.getElementById("kind").textContent;
      var query = document.querySelector(".freeze [name=query]"), then = page.querySelector(".freeze [name=query]");
      if (query && then) query.value = then.value;
      else if (then) location.reload(); // it was frozen, and is not what was frozen any more
    }); }).catch(function () { form.querySelector(".buttons").hidden = false; });
  }
  form.addEventListener("input", function () {
    rows();
    range();
    clearTimeout(waiting);
    waiting = setTimeout(follow, 250);
  });
  form.addEventListener("submit", function (e) { e.preventDefault(); follow(); });

  addEventListener("message", function (e) {
    var frame = document.querySelector(".preview");
    if (frame && e.source === frame.contentWindow && e.data && e.data.outcry === "height" && e.data.height > 0) frame.style.height = Math.min(2500, e.data.height + 2) + "px";
  });
})();
