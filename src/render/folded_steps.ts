import type { StepResult } from '../model/report.js'

/**
 * The longest run of plain steps that a table shows completely. Of a longer one, this number is shown at each
 * end.
 */
const longestRun = 20
const shownAtEnds = 5

/**
 * The steps of a run in parts that are alternately shown and folded. Only the middle of many steps that went
 * as planned is folded.
 */
export function foldedSteps(steps: StepResult[]): StepResult[][] {
  const plain = (s: StepResult) =>
    (s.outcome === 'done' || s.outcome === 'rolled-back') &&
    s.rows === null &&
    s.attempts <= 1 &&
    s.reason === null
  const parts: StepResult[][] = [[]]
  for (let from = 0; from < steps.length; ) {
    const first = steps[from]!
    let end = from + 1
    while (end < steps.length && plain(first) && plain(steps[end]!) && steps[end]!.outcome === first.outcome)
      end++
    const run = steps.slice(from, end)
    if (run.length <= longestRun) parts.at(-1)!.push(...run)
    else {
      parts.at(-1)!.push(...run.slice(0, shownAtEnds))
      parts.push(run.slice(shownAtEnds, -shownAtEnds), run.slice(-shownAtEnds))
    }
    from = end
  }
  return parts
}
