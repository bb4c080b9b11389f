import { needsConsent } from '../model/codes.js'
import { type Consent, fileOfStep, type Hazard, type Plan } from '../model/plan.js'
import { type Finding, finding } from '../model/report.js'
import { compareSteps } from './pinned_plan.js'

/**
 * Pure: the hazards of a plan that need consent and have none. At most one finding, with the flags ready to
 * paste.
 */
export function guard(plan: Plan, consent: Consent, confirmDatabase: string | null = null): Finding[] {
  const needed = new Map<string, string[]>()
  for (const step of plan.steps) {
    for (const h of step.hazards) {
      if (!needsConsent(h.code, consent.from ?? 'outage') || consent.allow.has(h.code)) continue
      needed.set(h.code, [
        ...(needed.get(h.code) ?? []),
        `${step.migration.name}: ${onWhat(h, step.migration.name)}`,
      ])
    }
  }
  const because = [...needed].flatMap(([code, why]) => why.map(w => `${code}: ${w}`))
  return wants(plan.track, consent, { hazards: [...needed.keys()], database: confirmDatabase, because })
}

/** The detail of a hazard, after its subject if neither the detail nor what is before it names that. */
const onWhat = ({ subject, detail }: Hazard, before: string): string =>
  detail.includes(subject) || subject === before ? detail : `${subject}: ${detail}`

/** What a person must allow or confirm, and why. */
interface WantedConsent {
  hazards?: string[]
  /** Name of the database to confirm; null if none is needed. */
  database: string | null
  because: string[]
  /** Number of rows that QUARANTINES_ROWS allows. */
  rows?: number
}

/**
 * Pure: one finding that requests the missing consent and the name of the database. Empty if nothing is
 * missing.
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

/** Pure: as `wants`, for the hazards of work that is not a step of a plan. */
export function wantsHazards(subject: string, consent: Consent, hazards: Hazard[]): Finding[] {
  const asked = hazards.filter(
    h => needsConsent(h.code, consent.from ?? 'outage') && !consent.allow.has(h.code),
  )
  const codes = [...new Set(asked.map(h => h.code))]
  const because = asked.map(h => `${h.code}: ${onWhat(h, subject)}`)
  return wants(subject, consent, { hazards: codes, database: null, because })
}

/** Most changes that a finding names. */
const shown = 30

/**
 * Pure: the differences between the approved plan and the plan that the ledger leads to now. Empty if there
 * are none. A hazard that is allowed by name may appear or disappear, because some depend on what the
 * application writes at that moment.
 */
export function outdated(approved: Plan, now: Plan, consent: Consent): Finding[] {
  const changes = compareSteps('step', stepsOf(approved), stepsOf(now))
  const known = new Set(hazardsOf(approved).map(h => h.key))
  // a new step is reported as a step; its hazards are not listed as well
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
