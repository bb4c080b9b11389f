import type { Code } from '../../model/codes.js'
import type { FindingOf, OfFleet, TypedAs } from '../../model/facts.js'
import { databaseNames } from '../../model/few_names.js'
import { shellQuoted, shellWord } from '../../model/shell_word.js'
import { joinedLines } from '../escape.js'
import { asTyped } from './as_typed.js'
import { checkWords } from './checks.js'
import { fileWords } from './files.js'
import { fleetWords } from './fleet.js'
import { historyWords } from './history.js'
import { rollbackWords } from './rollback.js'
import { runWords } from './runs.js'
import type { WordsOf } from './say.js'
import { sessionWords } from './sessions.js'
import { statusWords } from './status.js'
import { targetWords } from './target.js'
import { toolWords } from './tools.js'
import { usageWords } from './usage.js'

/** The words of every code; the compiler finds one that is missing. */
export const words: WordsOf<Code> = {
  ...fileWords,
  ...historyWords,
  ...targetWords,
  ...runWords,
  ...checkWords,
  ...rollbackWords,
  ...toolWords,
  ...usageWords,
  ...fleetWords,
  ...sessionWords,
  ...statusWords,
}

/**
 * A finding with its sentence and its fix. Commands are as the reader must type them. For a list of
 * databases, their names come first.
 */
export function worded<C extends Code>({
  typedAs,
  ...others
}: FindingOf<C>): FindingOf<C> & { message: string; fix: string | null } {
  const finding = others as FindingOf<C>
  const { code, subject, facts, targets } = finding
  const of = words[code]
  // a name with a line end must not look like a line of the report
  const message = of.message(joinedLines(subject), facts).replace(/\n(?! {4})/g, '\n    ')
  const said = of.fix?.(subject, facts) ?? null
  const fix = said && typed(targets ? onDatabases(said, targets) : said, typedAs)
  if (!targets) return { ...finding, message, fix }
  const where = databaseNames(targets.names, targets.of).replace(/^all/, 'All')
  return { ...finding, message: `${where}: ${message}`, fix }
}

const typed = (fix: string, as: TypedAs | undefined): string => (as ? asTyped(fix, as) : fix)

/** Commands that accept a list, and commands for one database. */
const commandsOfList = /(?<![\w-])rethread (plan|migrate|backfill|verify|status)\b/g
const commandsOfOne =
  /(?<![\w-])rethread (rollback|restore|doctor|repair|prune|quarantine|sessions|stats|prove)\b/g
/** Most names of databases in a command. */
const mostNames = 8

/** A fix whose commands run only on the databases with the finding: consent for one is no consent for all. */
function onDatabases(fix: string, { names, of, list }: OfFleet): string {
  const some = names.length > mostNames ? '<names>' : shellWord(names.join(','))
  const flags = `--targets ${shellWord(list)}${names.length === of ? '' : ` --select ${some}`}`
  const url = `--database-url ${shellQuoted(`<URL of ${names.length === 1 ? names[0]! : 'each'}>`)}`
  return fix.replace(commandsOfList, c => `${c} ${flags}`).replace(commandsOfOne, c => `${c} ${url}`)
}
