import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { watched } from './host.mjs'

/**
 * How long the application is alone before the work, and after it: its 99th percentile
 * from 20 s moved by a third.
 */
const aloneSeconds = 60
const at = (list, q) => list[Math.min(list.length - 1, Math.floor(list.length * q))] ?? 0

/**
 * Latency in milliseconds: median, 99th percentile, longest, and the 99th percentile by kind of statement.
 */
function latency(samples) {
  const sorted = list => list.map(([, ms]) => ms).sort((a, b) => a - b)
  const round = ms => Number(ms.toFixed(1))
  const all = sorted(samples)
  const p99 = kind => [kind, round(at(sorted(samples.filter(([k]) => k === kind)), 0.99))]
  return {
    count: all.length,
    p50: round(at(all, 0.5)),
    p99: round(at(all, 0.99)),
    max: round(all.at(-1) ?? 0),
    ...Object.fromEntries(['insert', 'update', 'select'].map(p99)),
  }
}

/**
 * The old application beside some work: its latency while it is alone, before and after, and while the
 * work runs; one process all along, warm before it counts, so that the host's moods and first calls
 * weigh on both sides alike.
 */
export async function beside(root, url, work) {
  const child = spawn(process.execPath, [join(root, 'test/bench/load.mjs'), url], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', chunk => {
    text += chunk
  })
  const closed = once(child, 'close')
  const phase = (name, what) => {
    child.stdin.write(`${name}\n`)
    return watched(what)
  }
  const alone = seconds => () => new Promise(done => setTimeout(done, seconds * 1000))
  await phase('warm', alone(5))
  const before = await phase('before', alone(aloneSeconds))
  const { done, host, stops } = await phase('busy', work)
  const after = await phase('after', alone(aloneSeconds))
  child.stdin.end()
  await closed
  const { errors, phases } = JSON.parse(text)
  const samples = { idle: [...phases.before, ...phases.after], busy: phases.busy, stops }
  return {
    done,
    felt: { ...felt([samples]), errors, host: { before: before.host, busy: host, after: after.host } },
    samples,
  }
}

/**
 * Where in the work the application waits: for each step [name, begin, milliseconds], and for what lies
 * between them, the statements that began meanwhile, their 99th percentile, and how many took longer
 * than `limit` milliseconds.
 */
export function where(samples, steps, limit) {
  const stepAt = at => steps.find(([, begin, ms]) => at >= begin && at < begin + ms)?.[0] ?? 'between'
  const told = name => {
    const within = samples.filter(([, , at]) => stepAt(at) === name)
    const { count, p99, max } = latency(within)
    return [name, { count, p99, max, slow: within.filter(([, ms]) => ms > limit).length }]
  }
  return Object.fromEntries([...steps.map(([name]) => name), 'between'].map(told))
}

/**
 * How long a statement took, less the time in which the disk stood still meanwhile: no request that
 * it had in hand was served.
 */
const apart = ([, ms, at], stops) =>
  stops.reduce(
    (left, [begin, long]) => left - Math.max(0, Math.min(at + ms, begin + long) - Math.max(at, begin)),
    ms,
  )

/**
 * What the application feels of the work, over one run or several: its latency alone, beside it, how they
 * compare, and the longest wait beside it without the times in which the host's disk stood still.
 */
export function felt(runs) {
  const idle = latency(runs.flatMap(r => r.idle))
  const busy = latency(runs.flatMap(r => r.busy))
  const longest = Math.max(0, ...runs.flatMap(r => r.busy.map(sample => apart(sample, r.stops))))
  return { idle, busy, ratio: Number((busy.p99 / idle.p99).toFixed(2)), apart: Number(longest.toFixed(1)) }
}
