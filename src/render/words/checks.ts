import type { Facts } from '../../model/facts.js'
import { agreeing, number, plural } from '../../model/plural.js'
import { bullets, type Group, listed, say, sentence } from './say.js'

/** The words of findings of verify and prove. */
export const checkWords = {
  CHECK_FAILED: say((s, f) => sentence`Check \`${s}\` could not run: ${f.reason}.`, null),
  PROBE_SKIPPED: say(
    (s, f) => sentence`\`${s}\` proved nothing: ${f.reason}.`,
    (_, f) =>
      f.role === null ? null : sentence`grant ${listed(f.roles)} to ${f.role};   as an administrator.`,
  ),
  POLICY_PER_ROW: say(
    (s, f) => sentence`\`${s}\`: a policy asks for every row who is asking (${f.filter}).`,
    () => 'Write (select auth.uid()) instead of auth.uid() in the policy.',
  ),
  POLICY_SCANS: say(
    (s, f) =>
      sentence`\`${s}\` (${f.rows} rows) is read from end to end for what the application asks${f.filter ? sentence`: ${f.filter}` : ''}.`,
    () => 'Index the columns that the policy and the query compare.',
  ),
  ACCEPTANCE_OVER: say(
    (s, f) => sentence`\`${s}\` was accepted until ${f.until} (${f.reason}).`,
    () => 'Fix it, or accept it again in rethread.config.json.',
  ),
  ACCEPTANCE_UNUSED: say(
    s => sentence`\`${s}\` is accepted in the configuration and was not found.`,
    () => 'Take it out of `accepted` in rethread.config.json.',
  ),
  NO_ACCESS_FILE: say(
    s => sentence`Track \`${s}\` has no access file that is of use yet, so nobody can be impersonated.`,
    s => sentence`Migrate first, or write verify/${s}/access.sql; see docs/verification.md.`,
  ),
  RECOUNTED: say(
    (s, f) =>
      sentence`${plural(f.units, 'unit')} of \`${s}\` counted and hashed again; ${number(f.differ)} ${agreeing(f.differ, 'differ')} from what the backfill left.`,
    null,
  ),
  NOT_ACCOUNTED: say(
    (s, f) => sentence`${f.rows} of what came in as \`${s}\` is neither migrated nor set aside nor failed.`,
    () => 'rethread verify   names the rows; rethread backfill   takes up what is pending.',
  ),
  NOTHING_CAME_IN: say(s => sentence`Track \`${s}\` had nothing to bring over.`, null),
  SEES_MORE: say(
    (s, f) =>
      sentence`\`${s}\`: ${plural(f.rows, 'row', 'are')} seen and ${agreeing(f.rows, 'were')} hidden before the migration.`,
    () =>
      'By design where the track says so (an admin reads all of their tenant); else rethread verify --only access   shows which policy lets them through.',
  ),
  SEES_LESS: say(
    (s, f) =>
      sentence`\`${s}\`: ${plural(f.rows, 'row', 'were')} seen before the migration and ${agreeing(f.rows, 'are')} hidden now.`,
    () =>
      'See docs/tracks.md: whoever shared a workspace sees their own sessions only, unless you group by author.',
  ),
  SAW_EVERYTHING: say(
    s => sentence`Before \`${s}\`, some tables had no row security: everybody of the API saw all of them.`,
    null,
  ),
  SIGHTS_SAMPLED: say(
    (s, f) =>
      sentence`\`${s}\`: ${number(f.rows)} of about ${plural(f.of, 'row', 'were')} looked at for each sampled person, the same ones each time; the others were not.`,
    null,
  ),
  NO_SIGHTS: say(
    s =>
      sentence`Nobody's sight was recorded before the first step of \`${s}\`, so before and after can't be compared.`,
    null,
  ),
  MUTANT_SURVIVED: say(
    s => sentence`No check noticed: ${s}.`,
    (_, f) => f.sql,
  ),
  MUTANT_REFUSED: say(
    (s, f) =>
      sentence`The database refused ${s} (${f.reason}), so nothing has shown that the check can fail.`,
    () => 'Write a mutant that the database accepts in the header of the check (mutant).',
  ),
  MUTANTS: say(
    (s, f) =>
      sentence`${f.caught} of ${f.of} mutants of \`${s}\` were noticed by a check or refused by the database.`,
    null,
  ),
  NOTHING_APPLIED: say(
    s => sentence`Nothing of \`${s}\` is applied, so nothing could be verified.`,
    () => 'rethread migrate',
  ),
  NO_CHECKS_RUN: say(
    s => sentence`No check of \`${s}\` could run.`,
    () => 'rethread verify --list',
  ),
  ISOLATION_UNVERIFIED: say(
    (s, f) => sentence`Who may do what in \`${s}\`: ${isolationWords(f)}.`,
    (s, f) =>
      f.why === 'no-file'
        ? sentence`Write verify/${s}/access.sql; see docs/verification.md.`
        : f.why === 'not-asked'
          ? sentence`rethread verify --only ${f.check ?? 'access'}`
          : null,
  ),
  BAD_PROOF: say(
    (s, f) => sentence`\`${s}\` is no proof of rethread: ${f.reason}.`,
    () => 'rethread prove --out proof.json   makes one.',
  ),
  PROOF_HOLDS: say((s, f) => sentence`Of what was proved of \`${s}\` at ${f.at}, nothing has changed.`, null),
  PROOF_DIFFERS: say(
    (s, f) => sentence`Since \`${s}\` was proved at ${f.at}:${bullets(f.changes)}`,
    () => 'Explain each change; then rethread prove --out proof.json   keeps what is there now.',
  ),
  PRE_EXISTING: say(
    (s, f) =>
      sentence`${f.rows} of what was found is as it was before the first step of \`${s}\`: warnings, which --fail-on warn counts.`,
    null,
  ),
} satisfies Group

/** Which access rights are not verified, and why. */
export function isolationWords({ why, check, after }: Facts['ISOLATION_UNVERIFIED']): string {
  switch (why) {
    case 'no-file':
      return 'isolation not verified: the track has no access file for what is applied'
    case 'later':
      return sentence`isolation not yet verified: after ${after ?? ''}`
    case 'in-part':
      return sentence`isolation verified for now, and in full after ${after ?? ''}`
    case 'skipped':
      return sentence`isolation not verified: ${check ?? ''} was skipped`
    case 'not-asked':
      return sentence`isolation not looked at: ${check ?? ''} was not among the checks`
  }
}
