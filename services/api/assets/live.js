// Everything works without this; with it, times are the reader's and the board moves by itself.
(function () {
  var zone = new Intl.DateTimeFormat([], { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
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
      utc.textContent = (dayHere.format(at) === dayThere.format(at) ? "" : said.replace(/,.*/, ", ")) + said.replace(/.*, /, "");
      t.appendChild(utc);
    });
  }
  localTimes(document);
  document.addEventListener("outcry:shown", function () { localTimes(document); });
  var note = document.querySelector("[data-zone]");
  if (note) note.textContent = inUTC ? "All times are UTC, which is your own zone." : "Times are of your own zone, with UTC beside them. Charts are in UTC.";

  var board = document.querySelector("[data-board]");
  if (!board || !window.EventSource) return;
  var status = document.getElementById("live");
  var source = new EventSource("/v1/services/stream");
  source.addEventListener("open", function () { if (status) status.textContent = "Live."; });
  source.addEventListener("error", function () { if (status) status.textContent = "Not live: connecting again."; });
  source.addEventListener("service", function (e) {
    var s = JSON.parse(e.data);
    document.querySelectorAll('[data-service="' + s.id + '"], li:has(> a[href="/services/' + s.id + '"])').forEach(function (row) {
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
