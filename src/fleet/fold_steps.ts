import type { Code } from '../model/codes.js'
import { databaseNames } from '../model/few_names.js'
import type { StepResult, Table, TargetReport } from '../model/report.js'

/** The part of a step that must be equal for equal plans. Counts and estimates may differ. */
const stepKey = (s: StepResult): string =>
  JSON.stringify([
    s.track,
    s.migration,
    s.direction,
    s.phase,
    s.outcome,
    s.hazards.map(h => [h.code, h.subject]),
    s.statements,
  ])

/** The part of a plan that must be equal for equal plans. */
const planKey = (target: TargetReport): string | null =>
  target.report &&
  JSON.stringify([target.report.verdict, codesOf(target), ...target.report.steps.map(stepKey)])

/** Findings about the current moment, which do not make plans different. */
const momentary: ReadonlySet<Code> = new Set<Code>(['SERVER_STRAINED', 'BLOCKER_NOW'])

/** Codes of the findings against a plan. For a plan without steps they are all there is. */
function codesOf({ report }: TargetReport): Code[] {
  const loud = (report?.findings ?? []).filter(f => f.level !== 'info').map(f => f.code)
  return [...new Set(report?.steps.length ? loud.filter(code => !momentary.has(code)) : loud)]
}

/**
 * Merges the steps of all plans, each once with its databases, so that a reviewer reads the same SQL once.
 * They are in the order of the migrations.
 */
export function foldSteps(targets: TargetReport[]): StepResult[] {
  const order: string[] = []
  const steps = new Map<string, { step: StepResult; names: string[] }>()
  for (const { name, report } of targets) {
    let place = -1
    for (const step of report?.steps ?? []) {
      const there = order.indexOf(step.migration)
      if (there < 0) order.splice(place + 1, 0, step.migration)
      place = there < 0 ? place + 1 : there
      const key = stepKey(step)
      const known = steps.get(key)
      if (known) known.names.push(name)
      else steps.set(key, { step, names: [name] })
    }
  }
  return [...steps.values()]
    .sort((a, b) => order.indexOf(a.step.migration) - order.indexOf(b.step.migration))
    .map(({ step, names }) => ({ ...step, targets: names }))
}

/** Groups of databases with equal plans, the largest first. */
export function plansTable(targets: TargetReport[]): Table {
  const groups = new Map<string, TargetReport[]>()
  for (const target of targets) {
    const key = planKey(target)
    if (key !== null) groups.set(key, [...(groups.get(key) ?? []), target])
  }
  const rows = [...groups.values()]
    .sort((a, b) => b.length - a.length)
    .map(group => [
      group.length,
      planText(group[0]!),
      group[0]!.report!.verdict,
      databaseNames(
        group.map(t => t.name),
        targets.length,
      ),
    ])
  return { title: 'Plans', columns: ['databases', 'plan', 'verdict', 'which'], rows }
}

function planText(target: TargetReport): string {
  const { steps } = target.report!
  const codes = codesOf(target).join(' ')
  if (steps.length === 0) return codes === '' ? 'nothing to do' : codes
  const [first, last] = [steps[0]!.migration, steps.at(-1)!.migration]
  const text = steps.length === 1 ? `1 step: ${first}` : `${steps.length} steps: ${first} to ${last}`
  return codes === '' ? text : `${text}; ${codes}`
}
