import { needsConsent } from '../model/codes.js'
import { type Consent, fileOfStep, type Hazard, type Plan } from '../model/plan.js'
import { type Finding, finding } from '../model/report.js'
import { compareSteps } from './pinned_plan.js'

/**
 * Pure: what a plan does that must be allowed by name and was not. One finding, with
 * the flags ready to paste.
 */
export function guard(plan: Plan, consent: Consent, confirmDatabase: string | null = null): Finding[] {
  const needed = new Map<string, string[]>()
  for (const step of plan.steps) {
    for (const h of step.hazards) {
      if (!needsConsent(h.code, consent.from ?? 'outage') || consent.allow.has(h.code)) continue
      needed.set(h.code, [...(needed.get(h.code) ?? []), `${step.migration.name}: ${h.detail}`])
    }
  }
  const because = [...needed].flatMap(([code, why]) => why.map(w => `${code}: ${w}`))
  return wants(plan.track, consent, { hazards: [...needed.keys()], database: confirmDatabase, because })
}

/** What a person has to name, and why. */
interface WantedConsent {
  hazards?: string[]
  /** Name of the database; null where it need not be named. */
  database: string | null
  because: string[]
  /** Rows that QUARANTINES_ROWS is about. */
  rows?: number
}

/**
 * Pure: the one finding that asks for hazards by name and for the database's; none where all of it was given.
 */
export function wants(
  subject: string,
  consent: Consent,
  { hazards = [], database, because, rows }: WantedConsent,
): Finding[] {
  const missing = hazards.filter(h => !consent.allow.has(h))
  const confirm = consent.confirm === database ? null : database
  if (missing.length === 0 && confirm === null) return []
  const allow = [...new Set([...consent.allow, ...hazards])]
  return [
    finding('CONSENT_NEEDED', subject, {
      allow,
      missing,
      confirm,
      because,
      ...(rows === undefined ? {} : { rows }),
    }),
  ]
}

/** Pure: `wants` for hazards of work that is no step of a plan. */
export function wantsHazards(subject: string, consent: Consent, hazards: Hazard[]): Finding[] {
  const asked = hazards.filter(
    h => needsConsent(h.code, consent.from ?? 'outage') && !consent.allow.has(h.code),
  )
  const codes = [...new Set(asked.map(h => h.code))]
  const because = asked.map(h => `${h.code}: ${h.detail}`)
  return wants(subject, consent, { hazards: codes, database: null, because })
}

/** Changes that a finding names. */
const shown = 30

/**
 * Pure: how the plan that was approved differs from the plan that the ledger leads to now; nothing
 * where it is the same. A hazard that is allowed by name may come or go: some depend on what the
 * application writes at that moment.
 */
export function outdated(approved: Plan, now: Plan, consent: Consent): Finding[] {
  const changes = compareSteps('step', stepsOf(approved), stepsOf(now))
  const known = new Set(hazardsOf(approved).map(h => h.key))
  // a step that is new is named itself, whatever its hazards
  const steps = new Set(approved.steps.map(step => step.migration.name))
  for (const { key, code, text, migration } of hazardsOf(now))
    if (steps.has(migration) && !known.has(key) && !consent.allow.has(code))
      changes.push(`hazard ${text} was not in the plan`)
  return changes.length === 0
    ? []
    : [finding('PLAN_OUTDATED', approved.track, { changes: changes.slice(0, shown) })]
}

const stepsOf = (plan: Plan) =>
  plan.steps.map(step => ({ migration: step.migration.name, checksum: fileOfStep(step)?.checksum ?? '' }))

const hazardsOf = (plan: Plan) =>
  plan.steps.flatMap(s =>
    s.hazards.map(({ code, subject }) => ({
      code,
      migration: s.migration.name,
      key: [s.migration.name, code, subject].join(' '),
      text: `${code} of ${subject}`,
    })),
  )
