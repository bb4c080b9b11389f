import { number, plural } from '../model/plural.js'
import type { Lock, Report, StepResult } from '../model/report.js'
import { foldedSteps } from './folded_steps.js'
import { codeHtml, dimmed, plain, richText } from './html_text.js'
import { duration, span } from './words/numbers.js'
import { stepMarks, stepOutcome, transactionWords } from './words/verdicts.js'

/** Width of a step, in milliseconds, if nothing was measured or estimated. */
const unknownMs = 100

/** CSS classes by what waits for a lock. */
const kinds: Record<Lock['blocks'], string> = {
  'reads and writes': 'both',
  writes: 'writes',
  nothing: 'none',
}

/** A lock in the drawing: its position in the step, from 0 to 1. */
interface LockBar {
  table: string
  mode: string
  blocks: Lock['blocks']
  from: number
  to: number
  /** How long it was held, in milliseconds, if that was measured. */
  ms: number | null
}

/** A step in the drawing. */
interface Segment {
  step: StepResult
  /** When it begins, in milliseconds after the first one. */
  begins: number
  ms: number
  known: 'measured' | 'estimated' | 'unknown'
  locks: LockBar[]
}

/** A drawing of the steps in order: the duration of each, its locks, and how long they are held. */
export function timeline(report: Report): string {
  const parts = foldedSteps(report.steps)
  const segments = new Map<StepResult, Segment>()
  let end = 0
  for (const step of report.steps) {
    const segment = segmentOf(step, end)
    segments.set(step, segment)
    end += segment.ms
  }
  const whole = Math.max(1, end)
  const items = parts.flatMap((steps, i) =>
    i % 2 === 0
      ? steps.map(s => item(segments.get(s)!, whole, report))
      : [`<li class="more">${number(steps.length)} more steps, each as planned</li>`],
  )
  return `${legend([...segments.values()])}\n<ol class="timeline">\n${items.join('\n')}\n</ol>`
}

/** The legend for the kinds of bars that occur. */
function legend(segments: Segment[]): string {
  const has = (test: (s: Segment) => boolean) => segments.some(test)
  const locks = (blocks: Lock['blocks']) => has(s => s.locks.some(l => l.blocks === blocks))
  const keys: [is: boolean, name: string, text: string][] = [
    [has(s => s.known === 'measured'), 'measured', 'time, measured'],
    [has(s => s.known === 'estimated'), 'estimated', 'time, estimated'],
    [has(s => s.known === 'unknown'), 'unknown', 'time not known, drawn short'],
    [locks('reads and writes'), 'both', 'a lock: reads and writes wait'],
    [locks('writes'), 'writes', 'a lock: writes wait'],
    [locks('nothing'), 'none', 'a lock: nobody waits, other changes of the schema do'],
  ]
  return `<ul class="legend">${keys
    .filter(([is]) => is)
    .map(([, name, text]) => `<li><span class="key ${name}"></span>${text}</li>`)
    .join('')}</ul>`
}

function segmentOf(step: StepResult, begins: number): Segment {
  const { estimate, durationMs, traces, statements } = step
  const known = durationMs !== null ? 'measured' : estimate ? 'estimated' : 'unknown'
  const guess = estimate ? ((estimate.secondsLow + estimate.secondsHigh) / 2) * 1000 : unknownMs
  const ms = Math.max(1, durationMs ?? guess)
  const found: LockBar[] = []
  if (traces.length > 0) {
    const total = Math.max(
      1,
      traces.reduce((sum, t) => sum + t.ms, 0),
    )
    let at = 0
    for (const t of traces) {
      for (const l of t.locks) {
        const held = l.heldMs ?? t.ms
        if (l.table !== null)
          found.push({
            ...barOf(l.table, l),
            from: at / total,
            to: Math.min(1, (at + held) / total),
            ms: held,
          })
      }
      at += t.ms
    }
  } else {
    const n = Math.max(1, statements.length)
    // in one transaction a lock is held to the end of the file
    const lasts = step.transaction === 'one' && !estimate
    for (const l of step.locks)
      if (l.table !== null)
        found.push({
          ...barOf(l.table, l),
          from: (l.statement - 1) / n,
          to: lasts ? 1 : l.statement / n,
          ms: null,
        })
  }
  return { step, begins, ms, known, locks: joinedBars(found) }
}

const barOf = (table: string, { mode, blocks }: Lock) => ({ table, mode, blocks })

/** One bar for each table and kind of waiting, from its first lock to the end of the last. */
function joinedBars(bars: LockBar[]): LockBar[] {
  const found = new Map<string, LockBar>()
  for (const bar of bars) {
    const key = `${bar.table} ${bar.blocks}`
    const before = found.get(key)
    found.set(
      key,
      before
        ? {
            ...before,
            from: Math.min(before.from, bar.from),
            to: Math.max(before.to, bar.to),
            ms: bar.ms === null ? before.ms : Math.max(before.ms ?? 0, bar.ms),
          }
        : bar,
    )
  }
  return [...found.values()]
}

const percent = (share: number): string => `${(share * 100).toFixed(2)}%`

function item({ step: s, begins, ms, known, locks }: Segment, whole: number, report: Report): string {
  const at = begins / whole
  const width = ms / whole
  const bar = (kind: string, from: number, share: number) => {
    const place = `left:min(${percent(from)}, calc(100% - 4px));width:${percent(share)}`
    return `<span class="lane"><span class="bar ${kind}" style="${place}"></span></span>`
  }
  const lanes = [
    bar(known, at, width),
    ...locks.map(l => bar(kinds[l.blocks], at + l.from * width, (l.to - l.from) * width)),
  ]
  const hazards = [...new Set(s.hazards.map(h => h.code))].map(code => `<code>${code}</code>`)
  const held = locks.filter(l => l.blocks !== 'nothing')
  const facts = [outcomeText(report, s), timeText(s), transactionWords(s, report.limits?.batchMs), ...hazards]
  const name = `<span class="mark">${stepMarks[s.outcome]}</span> ${codeHtml(s.migration)}`
  const phase = `<span class="phase">${s.direction === 'down' ? 'rollback' : s.phase}</span>`
  const list = held.length > 0 ? `<ul>${held.map(lockItem).join('')}</ul>` : ''
  return `<li class="${s.outcome}">
<div class="what">${name} ${phase}<br>${plain(s.title)}</div>
<div class="lanes" aria-hidden="true">${lanes.join('')}</div>
<div class="facts">${facts.filter(Boolean).join(' · ')}${list}</div>
</li>`
}

const outcomeText = (report: Report, s: StepResult): string =>
  [
    s.outcome === 'planned' ? '' : stepOutcome(report, s),
    s.attempts > 1 ? plural(s.attempts, 'attempt') : '',
    richText(s.reason ?? ''),
  ]
    .filter(Boolean)
    .join(', ')

const timeText = ({ durationMs, estimate, rows, targets }: StepResult): string =>
  [
    targets ? `${targets.length} databases` : '',
    rows === null ? '' : plural(rows, 'row'),
    durationMs !== null
      ? duration(durationMs)
      : estimate
        ? `about ${plural(estimate.rows, 'row')}, ${span(estimate.secondsLow, estimate.secondsHigh)}`
        : '',
  ]
    .filter(Boolean)
    .join(', ')

function lockItem(l: LockBar): string {
  const how = dimmed(`(${plain(l.mode)}${l.ms === null ? '' : `, ${duration(l.ms)}`})`)
  return `<li><span class="${kinds[l.blocks]}">${l.blocks} wait</span> on ${plain(l.table)} ${how}</li>`
}
