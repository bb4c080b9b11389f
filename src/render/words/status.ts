import { type Group, listed, say, sentence } from './say.js'

/** What the levels of `plan --fail-on` count. */
const failing: Record<string, string> = {
  warn: 'warning(s)',
  hazard: 'hazard(s) that `--allow` does not name',
  pending: 'pending migration(s)',
}

/** What pipelines and operators ask for: lint, `--fail-on`, status. */
export const statusWords = {
  FILES_HOLD: say((s, f) => sentence`The rules find nothing wrong in ${f.files} file(s) of \`${s}\`.`),
  FAIL_ON: say(
    (s, f) =>
      sentence`\`--fail-on ${s}\`: ${f.names.length} ${failing[s] ?? 'finding(s)'}: ${listed(f.names)}.`,
    (s, f) => (s === 'hazard' ? sentence`--allow ${f.names.join(',')}` : null),
  ),
} satisfies Group
