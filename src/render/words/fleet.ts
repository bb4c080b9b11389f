import { noSuchFile } from '../../model/failure.js'
import { fewNames } from '../../model/few_names.js'
import { plural } from '../../model/plural.js'
import { shellWord } from '../../model/shell_word.js'
import { type Group, say, sentence } from './say.js'

/** The words of findings about a list of databases. */
export const fleetWords = {
  BAD_TARGETS: say(
    (s, f) => sentence`\`${s}\`: ${f.reason}.`,
    (s, f) =>
      f.reason === noSuchFile
        ? 'Check the path of the list: it is relative to the current folder.'
        : s.startsWith('command:')
          ? 'Run the program by itself: it must print one database per line, in the form of a list file, and exit with 0.'
          : 'Write one database per line: name=postgres://user@host/database, or the URL alone. A comment begins with #.',
  ),
  TARGETS_READABLE: say(
    (s, f) =>
      sentence`Other users of this machine may read \`${s}\` (mode ${f.mode}), and passwords are in it.`,
    s => sentence`chmod 600 ${shellWord(s)}`,
  ),
  TARGET_TWICE: say(
    (_, f) =>
      sentence`It is the same database as ${f.other}, under another address. Nothing ran under this name.`,
    () => 'Take one of the two lines out of the list.',
  ),
  TARGET_LATE: say(
    (_, f) =>
      sentence`It took longer than ${f.deadline} s (\`--deadline\`) and was stopped.${f.waited === null ? '' : sentence` It had not ended ${f.waited} s later; its connections end with this process.`}`,
    () => 'Run the same command again, with a longer deadline or none: it continues there.',
  ),
  NOT_STARTED: say(
    (_, f) =>
      f.because === 'interrupted'
        ? 'Nothing ran: the command was interrupted before.'
        : f.because === 'canary'
          ? sentence`Nothing ran: ${f.failed.length === 1 ? 'canary' : 'canaries'} ${fewNames(f.failed)} failed.`
          : sentence`Nothing ran: ${fewNames(f.failed)} failed before (\`--stop-after\`).`,
    (_, f) =>
      sentence`${f.because === 'interrupted' ? 'Run' : 'Fix what stopped it, then run'} the same command again. Databases that are done have nothing to do.`,
  ),
  MORE_FINDINGS: say(
    (s, f) => sentence`${plural(f.count, 'more finding', 'are')} not shown (${s}).`,
    () => 'The JSON report has all of them, by database: --output report.json',
  ),
} satisfies Group
