// Keeps the page up to date: by events while they come, by asking where they do not. What changes more than a number is
// fetched as a page and put in place of the old one, so that every text has one source.
(() => {
  "use strict";

  // An event stream that says nothing for so long is asked after.
  const SILENT_MS = 40000;
  const WATCH_MS = 5000;
  // Where events were refused they are asked for again after so long; meanwhile there is the asking.
  const REFUSED_MS = 30000;
  // Between two pages fetched.
  const SWAP_MS = 1000;
  // After a failure: twice as long each time, and not all visitors at once.
  const RETRY_MS = 1000;
  const RETRY_MS_MAX = 15000;
  // How often a screen reader is told of a new place.
  const SAY_MS = 20000;
  const FORWARD_S = 3;
  // A stream that ends and begins again within so long is no loss: nodes stop, proxies tidy up.
  const GRACE_MS = 2500;

  let room = read(document);
  // As it came, before anything was changed in it.
  let markup = document.querySelector("main").innerHTML;
  let stream = null;
  let heard = Date.now();
  let said = Date.now();
  let swapped = 0;
  let failures = 0;
  let refused = 0;
  let pollTimer = 0;
  let swapTimer = 0;
  let countdown = 0;
  let graceTimer = 0;
  let least = null;

  const find = (id) => document.getElementById(id);
  const jitter = (ms) => ms * (0.75 + Math.random() / 2);

  function read(page) {
    return JSON.parse(page.querySelector("main").dataset.room);
  }

  // --- What is shown ---

  function number(n) {
    return n.toLocaleString("en-US");
  }

  // As words.rs says it.
  function eta(seconds) {
    const texts = room.texts;
    if (seconds === null || seconds === undefined) return texts.eta_unknown;
    const minutes = Math.ceil(seconds / 60);
    if (seconds < 60) return texts.eta_soon;
    if (minutes === 1) return texts.eta_minute;
    if (minutes <= 90) return texts.eta_minutes.replace("{n}", minutes);
    if (seconds > 86400) return texts.eta_long;
    return texts.eta_hours.replace("{n}", Math.floor((seconds + 1800) / 3600));
  }

  // A stream that began again elsewhere was begun with an older ticket, and may know less than the one before.
  function move(body) {
    const before = least && least.place === body.place ? least.ahead : body.ahead;
    least = { place: body.place, ahead: Math.min(before, body.ahead) };
    return { ...body, ahead: least.ahead };
  }

  function count(heard) {
    const body = move(heard);
    const texts = room.texts;
    const label = body.ahead === 0 ? texts.nobody_ahead : body.ahead === 1 ? texts.person_ahead : texts.people_ahead;
    const ahead = find("ahead");
    ahead.textContent = body.ahead === 0 ? texts.front : texts.persons.replace("{n}", number(body.ahead));
    // As view.rs has it.
    const length = ahead.textContent.length;
    ahead.className = length > 8 ? "longer" : length > 5 ? "long" : "";
    find("people").textContent = label;
    find("place").textContent = texts.nth.replace("{n}", number(body.place));
    find("eta").textContent = eta(body.eta_s);
    room.from = Math.max(room.from, body.ahead);
    const bar = find("bar");
    bar.max = Math.max(room.from, 1);
    bar.value = room.from === 0 ? 1 : room.from - body.ahead;
    if (Date.now() - said >= SAY_MS || body.ahead < 2) {
      const words = (body.ahead === 0 ? label : ahead.textContent + " " + label) + ". " + texts.eta + ": " + eta(body.eta_s);
      if (find("said").textContent !== words) say(words);
    }
  }

  // What holds for everybody: whether it is paused, and what the operator says.
  function tellAll(body) {
    const paused = find("paused");
    const isPaused = body.paused === true;
    if (paused && body.state === "waiting" && paused.hidden === isPaused) {
      paused.hidden = !isPaused;
      if (isPaused) say(paused.textContent);
    }
    const message = body.message || {};
    const lang = message[room.lang] ? room.lang : Object.keys(message)[0] || room.lang;
    const words = message[lang] || "";
    const line = find("message");
    if (line.textContent === words) return;
    line.textContent = words;
    line.lang = lang;
    if (words) say(words);
  }

  function say(words) {
    said = Date.now();
    find("said").textContent = words;
  }

  function lose(is) {
    clearTimeout(graceTimer);
    graceTimer = 0;
    const words = is ? room.texts.lost : "";
    if (find("lost").textContent !== words) find("lost").textContent = words;
  }

  // Times in the visitor's own zone; without the day where it is today.
  function localTimes() {
    const own = navigator.languages.find((language) => language.split("-")[0] === room.lang);
    for (const time of document.querySelectorAll("main time")) {
      const at = new Date(time.dateTime);
      const clock = { hour: "numeric", minute: "2-digit", ...(at.getSeconds() ? { second: "2-digit" } : {}) };
      const day = { month: "long", day: "numeric" };
      const isToday = at.toDateString() === new Date().toDateString();
      time.textContent = new Intl.DateTimeFormat(own || room.lang, isToday ? clock : { ...day, ...clock }).format(at);
    }
  }

  // --- What is heard ---

  function sceneOf(body) {
    return body.state === "waiting" && body.place === null ? "drawing" : body.state;
  }

  function hear(body) {
    heard = Date.now();
    failures = 0;
    lose(false);
    if (body.ticket) room.ticket = body.ticket;
    if (body.poll_after_s) room.poll_after_s = body.poll_after_s;
    const scene = sceneOf(body);
    // These streams end; the browser would only open them again.
    if (scene === "closed" || scene === "expired") deafen();
    // Whoever has a unit is told so by the page, and stays told.
    if (room.scene === "claimed" && scene === "expired") return;
    if (scene !== room.scene) { swap(); return; }
    tellAll(body);
    if (scene === "waiting") count(body);
  }

  function listen() {
    if (!room.ticket || stream || !window.EventSource || Date.now() < refused) return;
    stream = new EventSource(room.events + "?ticket=" + encodeURIComponent(room.ticket));
    stream.onopen = () => { heard = Date.now(); lose(false); };
    stream.onmessage = (event) => hear(JSON.parse(event.data));
    stream.onerror = () => {
      // While it connects again by itself there is nothing to do.
      if (stream.readyState !== EventSource.CLOSED) {
        graceTimer = graceTimer || setTimeout(() => lose(true), GRACE_MS);
        return;
      }
      stream = null;
      refused = Date.now() + jitter(REFUSED_MS);
      pollIn(jitter(RETRY_MS));
    };
  }

  function deafen() {
    if (stream) stream.close();
    stream = null;
  }

  function pollIn(ms) {
    clearTimeout(pollTimer);
    pollTimer = setTimeout(poll, ms);
  }

  async function poll() {
    if (!room.ticket) return;
    try {
      const answer = await fetch(room.state, { cache: "no-store", credentials: "same-origin" });
      if (answer.status >= 500 || answer.status === 429) throw new Error("no answer");
      if (answer.ok) hear(await answer.json());
      // Who is not known any more still hears events, by the ticket.
      else if (!(answer.status === 401 && stream && stream.readyState === EventSource.OPEN)) { lose(false); swap(); return; }
      listen();
      pollIn(jitter(1000 * (room.poll_after_s || 5)));
    } catch {
      fail(poll);
    }
  }

  function fail(again) {
    lose(true);
    failures += 1;
    const ms = jitter(Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MS_MAX));
    if (again === poll) pollIn(ms);
    else { clearTimeout(swapTimer); swapTimer = setTimeout(again, ms); }
  }

  // A stream that works makes polling stop; one that is silent is helped out by it.
  function watch() {
    if (!room.ticket) return;
    const silent = Date.now() - heard > SILENT_MS;
    if (!silent && stream && stream.readyState === EventSource.OPEN) clearTimeout(pollTimer);
    else if (silent) { heard = Date.now(); pollIn(0); }
  }

  // --- Another page in place of this one ---

  function swap() {
    clearTimeout(swapTimer);
    swapTimer = setTimeout(fetchPage, Math.max(0, swapped + SWAP_MS - Date.now()));
  }

  async function fetchPage() {
    swapped = Date.now();
    try {
      const answer = await fetch(room.page, { cache: "no-store", credentials: "same-origin" });
      if (answer.status >= 500) throw new Error("no page");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = read(page);
      const html = page.querySelector("main").innerHTML;
      if (next.scene === room.scene && html === markup) {
        // Nothing for eyes or ears.
        failures = 0;
        room = next;
        lose(false);
        begin();
        return;
      }
      markup = html;
      document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
      document.title = page.title;
      failures = 0;
      room = next;
      least = null;
      lose(false);
      begin();
      // A screen reader reads what has the focus.
      document.querySelector("h1").focus();
      const words = find("forward-words");
      say(words ? words.textContent : "");
    } catch {
      fail(fetchPage);
    }
  }

  // --- One's turn ---

  // Once only: who comes back here by the browser's button wants to be here.
  function forward() {
    const go = find("go");
    const line = find("forward");
    if (!go || !line) return;
    const key = "onrush-forwarded:" + go.href;
    let was = false;
    try { was = sessionStorage.getItem(key) !== null; } catch { was = true; }
    if (was) return;
    let left = FORWARD_S;
    const stop = () => { clearInterval(countdown); line.hidden = true; };
    const remember = () => { try { sessionStorage.setItem(key, "1"); } catch { /* it forwards again, then */ } };
    const tell = () => { find("forward-words").textContent = room.texts.forward.replace("{n}", left); };
    find("stay").addEventListener("click", () => { remember(); stop(); go.focus(); });
    line.hidden = false;
    tell();
    countdown = setInterval(() => {
      left -= 1;
      if (left > 0) { tell(); return; }
      stop();
      remember();
      location.assign(go.href);
    }, 1000);
  }

  // The button works from the opening on, by the server's clock; nobody has to ask for the page again at that moment.
  function open() {
    const button = find("join");
    if (!button || !room.opens_in_ms) return;
    const wait = Math.min(room.opens_in_ms, 2 ** 31 - 1);
    setTimeout(() => {
      button.disabled = false;
      button.focus();
      say(button.textContent);
    }, wait);
  }

  function begin() {
    clearInterval(countdown);
    clearTimeout(pollTimer);
    localTimes();
    open();
    forward();
    // These have no events, and may be over at any moment.
    if (["away", "paused", "gone"].includes(room.scene)) { clearTimeout(swapTimer); swapTimer = setTimeout(fetchPage, jitter(1000 * (room.poll_after_s || 5))); }
    if (room.ticket) { listen(); if (!stream) pollIn(jitter(1000 * (room.poll_after_s || 5))); } else deafen();
  }

  // When somebody came has been told by now.
  if (new URLSearchParams(location.search).has("arrived")) history.replaceState(null, "", location.pathname);
  // A page from the browser's memory is as old as it is.
  window.addEventListener("pageshow", (event) => { if (event.persisted) fetchPage(); });
  window.addEventListener("pagehide", deafen);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && room.ticket && !stream) pollIn(0); });
  setInterval(watch, WATCH_MS);
  begin();
})();
