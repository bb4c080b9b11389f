// What the host of a virtual machine takes from it while something is measured: processor time given to
// others, and the disk standing still. Both make whoever waits slower, whatever else runs.
import { readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'

const everyMs = 10

/**
 * Processor time so far, and the part of it that went to other machines on the same host;
 * zeros where that is not known.
 */
function ticks() {
  try {
    const cpu = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/).slice(1, 9).map(Number)
    return { all: cpu.reduce((a, b) => a + b, 0), stolen: cpu[7] }
  } catch {
    return { all: 0, stolen: 0 }
  }
}

/** Which disk a folder lies on, as /proc/diskstats names it. */
function deviceOf(folder) {
  const { dev } = statSync(folder)
  return [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)].join(' ')
}

/** Requests that a disk has served so far, and how many it has in hand; null where that is not known. */
function disk(device) {
  try {
    const lines = readFileSync('/proc/diskstats', 'utf8').split('\n')
    const fields = lines.map(line => line.trim().split(/\s+/)).find(f => `${f[0]} ${f[1]}` === device)
    // reads, writes, discards and flushes that are complete
    const served = [3, 7, 14, 18].reduce((sum, at) => sum + Number(fields[at] ?? 0), 0)
    return { served, inHand: Number(fields[11]) }
  } catch {
    return null
  }
}

/**
 * Does some work and watches the host meanwhile: `stolen`, the share of the processors' time that went to
 * others, and `disk`, the longest time in milliseconds in which the disk had requests in hand and served none
 * (seen every 10 ms; 0 where not known). `stops` are all such times of twice that or more, [when it began as
 * a Unix time, how long], in milliseconds.
 */
export async function watched(work) {
  const before = ticks()
  const device = deviceOf(tmpdir())
  const stops = []
  let served = null
  let since = null
  let last = null
  const goesOn = () => {
    if (since !== null && last - since >= 2 * everyMs)
      stops.push([performance.timeOrigin + since, last - since])
    since = null
  }
  const watching = setInterval(() => {
    const now = disk(device)
    if (!now) return
    const at = performance.now()
    if (now.inHand === 0 || now.served !== served) goesOn()
    if (now.inHand > 0) since ??= at
    served = now.served
    last = at
  }, everyMs)
  try {
    const done = await work()
    const after = ticks()
    const stolen = (after.stolen - before.stolen) / Math.max(1, after.all - before.all)
    goesOn()
    const longest = Math.round(Math.max(0, ...stops.map(([, ms]) => ms)))
    return { done, host: { stolen: Number(stolen.toFixed(3)), disk: longest }, stops }
  } finally {
    clearInterval(watching)
  }
}
