// Times as the reader's own browser writes them.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const short = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const brief = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

const DAY = 86_400_000;

/** 14:20 */
export const timeOf = (iso) => clock.format(new Date(iso));

/** With day, seconds and zone, for the tooltip. */
export const fullTimeOf = (iso) => whole.format(new Date(iso));

/** The calendar day a moment falls on here, as a key. */
export const dayOf = (iso) => new Date(iso).toDateString();

function daysAgo(iso) {
  const midnight = (moment) => new Date(moment).setHours(0, 0, 0, 0);
  return Math.round((midnight(Date.now()) - midnight(new Date(iso))) / DAY);
}

/** Today, Yesterday, Friday, 3 March 2026: for the line between days. */
export function dayName(iso) {
  const ago = daysAgo(iso);
  if (ago === 0) return "Today";
  if (ago === 1) return "Yesterday";
  return ago > 1 && ago < 7 ? weekday.format(new Date(iso)) : date.format(new Date(iso));
}

/** 14:20, Fri, 3 Mar: for lists. */
export function briefly(iso) {
  const ago = daysAgo(iso);
  if (ago <= 0) return timeOf(iso);
  return ago < 7 ? short.format(new Date(iso)) : brief.format(new Date(iso));
}
