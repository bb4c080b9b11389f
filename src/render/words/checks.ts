import type { Facts } from '../../model/facts.js'
import { agreeing, number, plural } from '../../model/plural.js'
import { shellWord } from '../../model/shell_word.js'
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
    (s, f) => sentence`\`${s}\`: a policy finds out for every row again who the user is (${f.filter}).`,
    () => 'Write (select auth.uid()) instead of auth.uid() in the policy.',
  ),
  POLICY_SCANS: say(
    (s, f) =>
      sentence`A query of the application reads the whole table \`${s}\` (${plural(f.rows, 'row')})${f.filter ? sentence`: ${f.filter}` : ''}.`,
    () => 'Index the columns that the policy and the query compare.',
  ),
  ACCEPTANCE_OVER: say(
    (s, f) => sentence`\`${s}\` was accepted until ${f.until} (${f.reason}), and counts again.`,
    () => 'Fix it, or accept it again in rethread.config.json.',
  ),
  ACCEPTANCE_UNUSED: say(
    s => sentence`The configuration accepts \`${s}\`, which was not found.`,
    () => 'Remove it from `accepted` in rethread.config.json.',
  ),
  NO_ACCESS_FILE: say(
    (s, f) =>
      f.after === null
        ? sentence`Track \`${s}\` has no access file, so it does not say who should see what, and nobody's sight can be compared with it.`
        : sentence`Track \`${s}\` has no access file for its present state, so isolation was not tested.`,
    (s, f) =>
      f.after === null
        ? sentence`A track without roles of an API needs none. If row security is to keep persons apart here, write verify/${s}/access.sql; see docs/verification.md.`
        : sentence`Migrate up to ${f.after} first.`,
  ),
  RECOUNTED: say(
    (s, f) =>
      sentence`${plural(f.units, 'unit')} of \`${s}\` ${agreeing(f.units, 'were')} counted and hashed again; ${number(f.differ)} ${agreeing(f.differ, 'differ')} from what the backfill recorded.`,
    null,
  ),
  NOT_ACCOUNTED: say(
    (s, f) =>
      sentence`${plural(f.rows, 'row')} of \`${s}\` ${agreeing(f.rows, 'are')} neither migrated nor set aside nor failed.`,
    () => 'rethread verify   names the rows; rethread backfill   migrates what is pending.',
  ),
  NOTHING_CAME_IN: say(s => sentence`Track \`${s}\` had no rows to migrate.`, null),
  SEES_MORE: say(
    (s, f) =>
      sentence`\`${s}\`: ${plural(f.rows, 'row', 'are')} seen and ${agreeing(f.rows, 'were')} hidden before the migration.`,
    () =>
      'It may be intended: an admin reads all of their tenant (docs/tracks.md). If not, rethread verify --only access   shows which policy allows it.',
  ),
  SEES_LESS: say(
    (s, f) =>
      sentence`\`${s}\`: ${plural(f.rows, 'row', 'were')} seen before the migration and ${agreeing(f.rows, 'are')} hidden now.`,
    () =>
      'It may be intended: people who share a workspace see only their own sessions, unless you group by author (docs/tracks.md).',
  ),
  SAW_EVERYTHING: say(
    s =>
      sentence`Before \`${s}\`, some tables had no row security: every user of the API could read all of their rows.`,
    null,
  ),
  SIGHTS_SAMPLED: say(
    (s, f) =>
      sentence`\`${s}\`: for each sampled person, the same ${number(f.rows)} of about ${plural(f.of, 'row', 'were')} looked at. The others were not.`,
    null,
  ),
  NO_SIGHTS: say(
    s =>
      sentence`What people could see before the first step of \`${s}\` was not recorded, so before and after cannot be compared.`,
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
          ? sentence`rethread verify --only ${shellWord(f.check ?? 'access')}`
          : null,
  ),
  BAD_PROOF: say(
    (s, f) => sentence`\`${s}\` is not a proof of rethread: ${f.reason}.`,
    () => 'rethread prove --out proof.json   makes one.',
  ),
  PROOF_HOLDS: say((s, f) => sentence`Nothing has changed since \`${s}\` was proved at ${f.at}.`, null),
  PROOF_DIFFERS: say(
    (s, f) => sentence`Since \`${s}\` was proved at ${f.at}:${bullets(f.changes)}`,
    () => 'Explain each change; then rethread prove --out proof.json   keeps what is there now.',
  ),
  PRE_EXISTING: say(
    (s, f) =>
      sentence`${plural(f.rows, 'finding')} ${agreeing(f.rows, 'were')} there before the first step of \`${s}\`. They are warnings; --fail-on warn counts them.`,
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
