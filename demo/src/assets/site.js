"use strict";

// A page in the browser's memory for the way back may be private, and the user may log out before it comes back. So it
// is hidden when it goes into that memory, and loaded again when it comes back.
addEventListener("pagehide", (event) => { if (event.persisted) document.body.hidden = true; });
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  keepNote();
  location.reload();
});

const owner = document.body.dataset.owner;
const note = document.getElementById("note");
changeInPlace();
race();
tellWhenFormIsOld();
if (owner !== undefined) {
  giveNoteBack();
  warnBeforeExpiry();
  offerLogoutWithTab();
}

// A note that was typed but not saved stays in this tab, under the name of its writer, until it is saved.
function keepNote() {
  if (note && note.value !== note.defaultValue) sessionStorage.setItem(`note of ${owner}`, note.value);
}

function giveNoteBack() {
  const logout = document.querySelector("form[action='/logout']");
  logout.addEventListener("submit", () => sessionStorage.removeItem(`note of ${owner}`));
  if (!note) return;
  note.form.addEventListener("submit", keepNote); // the request may fail
  const kept = sessionStorage.getItem(`note of ${owner}`);
  sessionStorage.removeItem(`note of ${owner}`);
  if (kept === null || kept === note.value) return;
  note.value = kept;
  const said = Object.assign(document.createElement("p"), { className: "notice", role: "status" });
  said.textContent = "Your text is back, and not saved yet: look at it, and save it.";
  document.querySelector("main").prepend(said);
}

// The buttons of the counter and the cart change only their numbers. So the page does not scroll, and Back leads to the
// page before. If that fails, the form is sent as it would be without a script.
function changeInPlace() {
  let done = Promise.resolve(); // one request after the other, so the last answer is the one that stays
  for (const form of document.querySelectorAll("form[data-in-place]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const body = new URLSearchParams(new FormData(form, event.submitter));
      done = done.then(async () => {
        const response = await fetch(form.action, { method: "POST", body, headers: { accept: "text/html" } });
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        if (!response.ok || page.body.dataset.owner !== owner) throw new Error("another page");
        for (const shown of document.querySelectorAll("[data-fresh]")) {
          shown.textContent = page.getElementById(shown.id).textContent;
        }
      }).catch(() => {
        keepNote();
        // `form.submit()` does not send the button that was pressed, so a hidden field does.
        const { name, value } = event.submitter;
        if (name) form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
        form.submit();
      });
    });
  }
}

// This browser sends many requests at once. Each adds one to the counter, and none may be lost.
function race() {
  const form = document.getElementById("race");
  if (!form) return;
  form.hidden = false;
  const said = document.getElementById("raced");
  async function answer(path, method) {
    const response = await fetch(path, { method, cache: "no-store" });
    if (!response.ok) throw new Error(response.status);
    return response.json();
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const requests = Number(form.dataset.requests);
    try {
      const before = await answer("/api/counter", "POST"); // this one makes a session if there is none
      await Promise.all(Array.from({ length: requests }, () => answer("/api/counter", "POST")));
      const { counter } = await answer("/api/data", "GET");
      const verdict = counter === before + requests ? "Kept. None was lost" : "Some were lost, or others counted, too";
      said.textContent = `${verdict}: your counter stood at ${before}, ${requests} requests added one each at once, and it stands at ${counter}.`;
    } catch {
      said.textContent = "The counter does not answer just now. Try again in a moment.";
    }
    said.hidden = false;
  });
}

// A login that takes too long is refused. So a form that has stood for too long says so before anything is typed. No
// timer runs on a machine that sleeps, so this also looks when the page is shown and when the form is used.
function tellWhenFormIsOld() {
  const form = document.querySelector("form[data-stands]");
  if (!form) return;
  const loaded = Date.now();
  function look() {
    if (Date.now() - loaded < form.dataset.stands * 1000) return;
    document.getElementById("stood").hidden = false;
  }
  setInterval(look, 30000);
  document.addEventListener("visibilitychange", look);
  form.addEventListener("focusin", look);
}

// Goes to the login page, which then leads back to this one.
function leave() {
  keepNote();
  const here = location.pathname + location.search;
  location.replace("/login?why=ended" + (here === "/" ? "" : `&next=${encodeURIComponent(here)}`));
}

function warnBeforeExpiry() {
  const warning = document.getElementById("warning");
  const stay = document.getElementById("stay");
  const work = document.getElementById("work");
  let longest = 0; // seconds: about the idle timeout, because loading this page counted as use
  let timer;

  async function look() {
    clearTimeout(timer);
    let status;
    try {
      const response = await fetch("/api/status", { cache: "no-store" });
      if (!response.ok) return again(5);
      status = await response.json();
    } catch {
      return again(5);
    }
    if (status.owner !== owner) return leave();
    const left = Math.min(status.expires_in, status.ends_in);
    longest = Math.max(longest, left);
    const warnAt = Math.min(60, longest / 3);
    if (left > warnAt) {
      if (warning.open) warning.close();
      return again(Math.min(30, left - warnAt));
    }
    document.getElementById("seconds").textContent = Math.max(1, Math.round(left));
    stay.hidden = status.ends_in <= status.expires_in; // no use keeps it from ending
    if (!warning.open) warning.showModal();
    again(Math.min(1, left));
  }

  function again(seconds) {
    timer = setTimeout(look, Math.max(100, seconds * 1000));
  }

  stay.addEventListener("click", async () => {
    await fetch("/api/me", { cache: "no-store" }).catch(() => {});
    look();
  });
  document.getElementById("leave").addEventListener("click", () => {
    const form = work ?? document.querySelector("form[action='/logout']");
    if (work) {
      const leave = Object.assign(document.createElement("input"), { type: "hidden", name: "leave", value: "1" });
      work.append(leave);
    }
    form.submit();
  });
  look();
}

// An option of the tab: to close it logs out. To go to another page of the site does not.
function offerLogoutWithTab() {
  const option = document.getElementById("tab-option");
  option.checked = sessionStorage.getItem("logout-with-tab") === "yes";
  option.parentElement.hidden = false;
  option.addEventListener("change", () => {
    sessionStorage.setItem("logout-with-tab", option.checked ? "yes" : "no");
  });
  let staysInSite = false;
  if ("onpageswap" in window) {
    // The browser says where the tab is going, if it is a page of this site.
    addEventListener("pageswap", (event) => { staysInSite = Boolean(event.activation); });
  } else {
    // An older browser does not say it, so the last click decides. A reload then logs out, too, which is the safe side.
    addEventListener("submit", () => { staysInSite = true; });
    addEventListener("click", (event) => {
      staysInSite = event.target.closest?.("a[href]")?.origin === location.origin;
    });
  }
  addEventListener("pagehide", () => {
    if (option.checked && !staysInSite) navigator.sendBeacon("/logout");
  });
  addEventListener("pageshow", () => { staysInSite = false; });
}
