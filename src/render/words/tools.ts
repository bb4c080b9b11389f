import { agreeing, plural } from '../../model/plural.js'
import { shellWord } from '../../model/shell_word.js'
import { bullets, type Group, listed, say, sentence } from './say.js'

/** Names of migrations in order; of a long list only the first and the last. */
const shortened = (names: string[]): string =>
  names.length <= 6 ? listed(names) : sentence`${names[0]!} to ${names.at(-1)!}`

/** The words of findings about other migration tools, and about repairs of the ledger. */
export const toolWords = {
  EXPORTED: say(
    (s, f) =>
      sentence`Track \`${s}\` was exported to ${f.to}: ${plural(f.written, 'file')} written, ${f.kept} there already.`,
    () =>
      'Read them, commit them, then: supabase db push   With "history": "supabase" in rethread.config.json, rethread migrate writes the same rows.',
  ),
  EXPORT_HELD: say(
    (s, f) =>
      f.because === null
        ? sentence`${plural(f.left, 'migration', 'were')} not exported: from \`${s}\` on they are of a later phase.`
        : sentence`From \`${s}\` on ${plural(f.left, 'migration', 'were')} not exported, because a push would apply them all: ${f.because}.`,
    (_, f) =>
      sentence`When the new application is deployed: rethread export --track ${shellWord(f.track)} --phase contract`,
  ),
  EXPORT_CONFLICT: say(
    (s, f) => sentence`\`${s}\` is in the way: ${f.reason}. Nothing was written.`,
    () =>
      'If no database has applied it, delete the exported files from this one on and export again. Otherwise keep it as it is.',
  ),
  APPLIED_ELSEWHERE: say(
    (s, f) =>
      sentence`The history of ${f.tool} says that these migrations of \`${s}\` are applied; the ledger does not have them:${bullets(f.migrations)}`,
    s =>
      sentence`rethread migrate --track ${shellWord(s)} --adopt   compares them with the catalog and records them.`,
  ),
  HISTORY_BEHIND: say(
    (s, f) =>
      sentence`The history of ${f.tool} is not written for \`${s}\`: ${[
        f.applied.length === 0
          ? []
          : [`${plural(f.applied.length, 'migration')} that ${agreeing(f.applied.length, 'are')} applied`],
        f.next === 0 ? [] : [`${f.next} that would be applied now`],
      ]
        .flat()
        .join(' and ')} will look pending to ${f.tool}, which would apply them again.`,
    (_, f) =>
      f.keeps
        ? sentence`Put "history": "${f.tool}" into rethread.config.json${f.applied.length === 0 ? '.' : sentence` for what comes next, and mark with ${f.tool} itself what is applied: ${shortened(f.applied)}`}`
        : sentence`Mark them with ${f.tool} itself once they are applied.`,
  ),
  FOLDER_NOT_READ: say(
    s => sentence`The tracks that come with rethread are used. The migrations in \`${s}\` are not read.`,
    () => 'To read those of this folder instead: --dir .',
  ),
  ELSEWHERE_FAILED: say(
    (s, f) =>
      sentence`The history of ${f.tool} says that \`${s}\` began and did not end (row ${f.row}${f.at === null ? '' : sentence`, ${f.at}`}).`,
    (s, f) =>
      sentence`Look at what is there. If all of it is: rethread repair ${shellWord(s)} --applied --track ${shellWord(f.track)} --reason '...'   If none: rethread repair ${shellWord(s)} --not-applied --track ${shellWord(f.track)} --reason '...'   Then tell ${f.tool}: ${f.settle}`,
  ),
  ELSEWHERE_CHANGED: say(
    (s, f) =>
      sentence`The file of \`${s}\` (${f.file}) is not the one that ${f.tool} has applied: its checksum differs.`,
    (s, f) =>
      sentence`Put the file back as it was. If its effect is the same: rethread repair ${shellWord(s)} --applied --track ${shellWord(f.track)} --reason '...'`,
  ),
  HISTORY_NOT_KEPT: say(
    (s, f) => sentence`The history of ${s} cannot be written: ${f.reason}.`,
    () => 'Remove `history` from the configuration, or fix what is missing.',
  ),
  REPAIRED: say(
    (s, f) =>
      sentence`The ledger now says that \`${s}\` is ${f.as}, because: ${f.why}. The catalog shows it in ${plural(f.shown, 'place')}${f.unproven.length === 0 ? '.' : sentence`; not shown, and allowed by name:${bullets(f.unproven)}`}`,
    () => 'rethread plan   shows what is next.',
  ),
  REPAIR_NEEDLESS: say((s, f) => sentence`The ledger already says that \`${s}\` is ${f.as}.`, null),
} satisfies Group
