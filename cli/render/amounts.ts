/** Amounts for people: decimal sizes, thin groups of digits, durations in two units. */

const sizeUnits = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];

export function bytesText(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 999.95 && unit < sizeUnits.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? String(Math.round(amount)) : amount.toFixed(1)} ${sizeUnits[unit] ?? ''}`;
}

export function rateText(bytesPerSecond: number): string {
  return `${bytesText(bytesPerSecond)}/s`;
}

export function countText(count: number): string {
  return count.toLocaleString('en-US');
}

export function plural(count: number, one: string): string {
  return `${countText(count)} ${one}${count === 1 ? '' : 's'}`;
}

export function durationText(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}
