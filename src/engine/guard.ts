import { needsConsent } from '../model/codes.js'
import type { Consent, Plan } from '../model/plan.js'
import { type Finding, finding } from '../model/report.js'

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
  return wants(plan.track, consent, [...needed.keys()], confirmDatabase, because)
}

/**
 * Pure: the one finding that asks for hazards by name and for the database's; none where all of it was given.
 */
export function wants(
  subject: string,
  consent: Consent,
  hazards: string[],
  database: string | null,
  because: string[],
): Finding[] {
  const missing = hazards.filter(h => !consent.allow.has(h))
  const confirm = consent.confirm === database ? null : database
  if (missing.length === 0 && confirm === null) return []
  const allow = [...new Set([...consent.allow, ...hazards])]
  return [finding('CONSENT_NEEDED', subject, { allow, missing, confirm, because })]
}
