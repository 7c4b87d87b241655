"use strict";

// A page that comes back from the browser's memory may be private, and the user may have logged out: it is hidden when
// it goes there, and loaded anew when it comes back.
addEventListener("pagehide", (event) => { if (event.persisted) document.body.hidden = true; });
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

const owner = document.body.dataset.owner;
if (owner !== undefined) {
  warnBeforeExpiry();
  offerLogoutWithTab();
}

function warnBeforeExpiry() {
  const warning = document.getElementById("warning");
  const stay = document.getElementById("stay");
  const work = document.getElementById("work");
  let longest = 0; // seconds; about the idle time-out, for loading this page was a use
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
    if (status.owner !== owner) return location.replace("/login?why=ended");
    const left = Math.min(status.expires_in, status.ends_in);
    longest = Math.max(longest, left);
    const warnAt = Math.min(60, longest / 3);
    if (left > warnAt) {
      if (warning.open) warning.close();
      return again(Math.min(30, left - warnAt));
    }
    document.getElementById("seconds").textContent = Math.max(1, Math.round(left));
    stay.hidden = status.ends_in <= status.expires_in; // it ends, used or not
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

// An option of the tab: closing it logs out, going to another page of the site does not.
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
    // Where it does not, what was clicked tells. A reload logs out then, too, which is the safe side.
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
