// Everything works without this; with it, times are the reader's and the board moves by itself.
(function () {
  var zone = new Intl.DateTimeFormat([], { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
  var there = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  var thereWithDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  var dayHere = new Intl.DateTimeFormat("en-CA"), dayThere = new Intl.DateTimeFormat("en-CA", { timeZone: "UTC" });
  var inUTC = /^(UTC|Etc\/UTC|GMT)$/.test(Intl.DateTimeFormat().resolvedOptions().timeZone);
  function localTimes(root) {
    if (inUTC) return;
    root.querySelectorAll("time[datetime]").forEach(function (t) {
      var at = new Date(t.getAttribute("datetime")), said = t.textContent;
      if (t.title || isNaN(at) || !/UTC/.test(said)) return;
      t.title = said;
      t.textContent = zone.format(at) + " ";
      var utc = document.createElement("small"); // UTC stays in sight
      utc.textContent = "(" + (dayHere.format(at) === dayThere.format(at) ? there : thereWithDay).format(at) + " UTC)";
      t.appendChild(utc);
    });
  }
  localTimes(document);
  document.addEventListener("outcry:shown", function () { localTimes(document); });
  var note = document.querySelector("[data-zone]");
  if (note) note.textContent = inUTC ? "All times are UTC, which is your own zone." : "Times are of your own zone, with UTC beside them. Charts are in UTC.";

  var board = document.querySelector("[data-board]");
  if (!board || !window.EventSource) return;
  var said = "", soon;
  function say(text) {
    said = text;
    var status = document.getElementById("live");
    if (status) status.textContent = text;
  }
  // refresh asks for the board anew where a service has come into trouble or out of it, unless somebody is filling in the form.
  function refresh() {
    clearTimeout(soon);
    soon = setTimeout(function () {
      if (document.activeElement && document.activeElement.closest(".filter")) return;
      fetch(location.href).then(function (a) { return a.ok ? a.text() : ""; }).then(function (text) {
        var next = text && new DOMParser().parseFromString(text, "text/html").querySelector("[data-board]");
        if (!next) return;
        board.innerHTML = next.innerHTML;
        localTimes(board);
        say(said);
      }).catch(function () {}); // the next change asks again
    }, 1000);
  }
  var source = new EventSource("/v1/services/stream");
  source.addEventListener("open", function () { say("Live."); });
  source.addEventListener("error", function () { say("Not live: connecting again."); });
  source.addEventListener("service", function (e) {
    var s = JSON.parse(e.data), trouble = s.state === "outage" || s.state === "suspected" || s.state === "recovering";
    var card = board.querySelector('.card[data-service="' + s.id + '"]');
    if (trouble !== !!card || card && card.querySelector(".state").textContent !== s.state) refresh();
    board.querySelectorAll('[data-service="' + s.id + '"], li:has(> a[href="/services/' + s.id + '"])').forEach(function (row) {
      var pill = row.querySelector(".state");
      if (!pill && s.state !== "ok") {
        pill = document.createElement("span");
        row.appendChild(document.createTextNode(" "));
        row.appendChild(pill);
      }
      if (pill) { pill.className = "state state-" + s.state; pill.textContent = s.state; }
      var people = row.querySelector("[data-people]"), mentions = row.querySelector("[data-mentions]");
      if (people) people.textContent = s.people_last_hour.toLocaleString("en");
      if (mentions) mentions.textContent = s.mentions_last_hour.toLocaleString("en");
    });
  });
  source.addEventListener("board", function (e) {
    var b = JSON.parse(e.data), banner = document.getElementById("silent");
    if (!banner) return;
    banner.hidden = b.silent_sources.length === 0;
    banner.querySelector("span").textContent = b.silent_sources.join(", ");
  });
})();
