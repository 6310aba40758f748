// Tells the studio in which time zone its viewer sits, so that times are shown in it.
(() => {
  const zone = encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone || "");
  if (zone && !document.cookie.split("; ").includes(`gator_zone=${zone}`)) {
    document.cookie = `gator_zone=${zone}; path=/admin/; max-age=31536000; SameSite=Lax`;
  }
})();
