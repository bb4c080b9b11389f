import { number, plural } from '../../model/plural.js'
import { shellWord } from '../../model/shell_word.js'
import { type Group, listed, say, sentence } from './say.js'

/** SQL of an index that a search for a part of a text can use. */
const searchIndex = (table: string, column: string): string =>
  sentence`create extension if not exists pg_trgm;\ncreate index concurrently on ${table} using gin (${column} gin_trgm_ops);`

/** Below this number of rows a search needs no index. */
const fewRows = 10_000

const elements =
  'The messages are elements of a JSON array, which no index helps: narrow the search with --since or a filter.'

/** The words of findings about single sessions. */
export const sessionWords = {
  NO_SESSIONS_TABLE: say(
    s => sentence`\`${s}\` does not exist yet.`,
    () => 'rethread migrate',
  ),
  NO_SUCH_SESSION: say(
    (s, f) => sentence`\`${f.table}\` has no session \`${s}\`.`,
    s => sentence`rethread sessions list\nrethread sessions recover ${shellWord(s)}`,
  ),
  NO_SESSION_HAS: say((s, f) => sentence`No session of \`${f.table}\` has \`${s}\`.`),
  NO_SESSION_FOUND: say(
    (s, f) =>
      sentence`No session of \`${s}\` matches${f.hidden.length === 0 ? '' : sentence`. Left out by default: ${listed(f.hidden)}`}.`,
  ),
  SESSIONS_HIDDEN: say(
    (s, f) =>
      sentence`Row level security filters \`${s}\` for role ${f.role}: only rows that it may see are listed and counted.`,
    () => 'Connect as the owner of the table or a role with BYPASSRLS to see all of them.',
  ),
  SEARCH_SCANS: say(
    (s, f) =>
      sentence`No index helps this search: it reads ${f.rows === null ? 'all' : sentence`about ${number(f.rows)}`} rows of \`${s}\`.`,
    (s, f) =>
      f.rows !== null && f.rows < fewRows ? null : f.column === null ? elements : searchIndex(s, f.column),
  ),
  SEARCH_TOO_SLOW: say(
    (s, f) =>
      sentence`The search for \`${s}\` was stopped after ${f.seconds} s, before it had read all of \`${f.table}\`.`,
    (_, f) =>
      sentence`Narrow it with --since or a filter, or give it more time: --within ${f.seconds * 4}${f.column === null ? '.' : sentence`, or make an index:\n${searchIndex(f.table, f.column)}`}`,
  ),
  SESSION_TOO_LARGE: say(
    (s, f) => sentence`Session \`${s}\` has more than ${f.mostMiB} MiB, the limit for a session file.`,
    () => 'Copy its rows with COPY in psql.',
  ),
  BAD_SESSION_FILE: say(
    (s, f) => sentence`\`${s}\` is not a session that can be imported: ${f.reason}.`,
    () => 'Write it again with rethread sessions export and --output session.json, or correct the file.',
  ),
  SESSION_FROM_ELSEWHERE: say(
    (s, f) => sentence`\`${s}\` does not fit this database: ${f.differs.join('; ')}. Nothing was changed.`,
    () => 'Import it where the track and the columns are those that it was exported with.',
  ),
  SESSION_EXISTS: say(
    (s, f) =>
      sentence`${f.session ? sentence`Session \`${s}\` exists and differs` : sentence`Rows of session \`${s}\` exist and differ`} from the file: ${f.differs.join('; ')}. Nothing was changed.`,
    s =>
      sentence`Keep what is there (rethread sessions export ${shellWord(s)} --output now.json), delete it in the application, then import again.`,
  ),
  SESSION_NOT_PUT: say(
    (s, f) => sentence`The rows could not be put into \`${s}\`: ${f.reason}. Nothing was changed.`,
    () => 'Create what is missing, or remove what is in the way, then run the same command again.',
  ),
  SESSION_THERE: say(
    (s, f) => sentence`Session \`${s}\` is in \`${f.table}\`, with all its rows; nothing was changed.`,
  ),
  SESSION_PUT: say(
    (s, f) =>
      sentence`Session \`${s}\` is back from ${f.from}: ${plural(f.rows, 'row')}${f.derived.length === 0 ? '' : sentence`. The track computes ${listed(f.derived)} from the present rows`}.`,
  ),
} satisfies Group
