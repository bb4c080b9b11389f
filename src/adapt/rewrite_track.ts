import { aliasOf } from '../files/backfill_statement.js'
import { expectedName } from '../files/expected.js'
import { type Node, parseStatements, relationName, type Statement } from '../files/statements.js'
import type { Mapping, Roles } from '../model/mapping.js'
import type { Track as ProjectTrack, TrackInfo } from '../model/project.js'
import { nameAt, namesIn, tableText } from '../model/table_name.js'
import { judgeMapping } from './judge_mapping.js'
import { mappedNames, type Names, newTable, type TrackNames } from './names.js'
import { type Rewriting, rewriteSql } from './rewrite_body.js'
import { rewriteHeader } from './rewrite_header.js'
import { rewriteAccess, rewriteExpected, rewriteTrackInfo } from './rewrite_json.js'
import { noteSignatures, noteTriggers } from './rewrite_statement.js'

const entityOf = (table: string): string => namesIn(table)!.at(-1)!

/** Reads the tables and columns that a track requires, makes and extends. */
export async function readTrackNames(track: ProjectTrack): Promise<TrackNames> {
  const roles: Roles = {}
  const own = new Map<string, Set<string>>()
  const statements: Statement[] = []
  for (const m of track.migrations) {
    for (const required of m.requires) {
      const [, kind, rest] = /^(table|column) (.+)$/.exec(required) ?? []
      const path = rest === undefined ? null : nameAt(rest)?.parts
      if (!kind || !path) continue
      const table = tableText({ schema: path[0]!, name: path[1]! })
      roles[entityOf(table)] ??= { table, columns: {} }
      if (path[2]) roles[entityOf(table)]!.columns[path[2]] = path[2]
    }
    const parsed = await parseStatements(m.file.text)
    statements.push(...parsed)
    for (const { kind, node } of parsed) {
      if (kind !== 'CreateStmt' && kind !== 'AlterTableStmt') continue
      const table = relationName(node.relation)
      if (!table.startsWith('public.')) continue
      const defs: Node[] = [
        ...(node.tableElts ?? []),
        ...(node.cmds ?? []).map((c: Node) => c.AlterTableCmd.def ?? {}),
      ]
      const set = own.get(table) ?? new Set<string>()
      own.set(table, set)
      for (const def of defs) if (def.ColumnDef?.colname) set.add(def.ColumnDef.colname)
      if (kind === 'CreateStmt') roles[entityOf(table)] ??= { table, new: true, columns: {} }
    }
  }
  return { roles, own, statements }
}

/** Returns a function that rewrites a file of a track for one database, given its folder and name. */
export async function trackRewriter(
  track: ProjectTrack,
  info: TrackInfo | null,
  mapping: Mapping,
): Promise<(folder: string, file: string, text: string) => Promise<string>> {
  const read = await readTrackNames(track)
  judgeMapping(track.name, read, mapping)
  const names = mappedNames(
    { roles: read.roles, typed: info?.typed ?? {}, probes: info?.probes ?? {} },
    mapping,
    read.own,
  )
  noteSignatures(names, read.statements)
  const fired: Rewriting['fired'] = new Map()
  noteTriggers(fired, read.statements)
  return async (folder, file, text) => {
    const probing = folder === 'verify'
    const with_: Rewriting = { names, fired, probing }
    if (file === expectedName) return rewriteExpected(with_, text)
    if (!file.endsWith('.sql')) return rewriteTrackInfo(with_, text)
    const spec = track.migrations.find(m => folder === 'migrations' && `${m.name}.sql` === file)?.backfill
    const alias = spec ? await aliasOf(text, file, spec) : null
    const bare = spec && alias === entityOf(spec.table) ? null : alias
    const headed = await rewriteHeader(with_, text, bare)
    const ids = probing ? probeIds(names, headed) : headed
    const access = /(\$access\$)([\s\S]*?)\$access\$/.exec(ids)
    const sql = (await rewriteSql(with_, ids)).replace(
      // these comments are read by the planner
      /^-- (?:locks|access): .*$/gm,
      line => line.replace(/\b\w+\.\w+\b/g, t => (names.knows(t) ? newTable(names, t) : t)),
    )
    if (!access) return sql
    const json = await rewriteAccess(with_, access[2]!)
    return sql.replace(access[0], () => `$access$${json}$access$`)
  }
}

/**
 * Replaces the ids that probes write. A column of numbers gets negative ids, which no application has, or
 * high ones if a constraint wants them positive. A column that is too short for a uuid gets a shorter text.
 */
const probeIds = (names: Names, text: string): string =>
  text.replace(/\b([0-9a-f])0000000-7e57-4000-8000-0000000000(\d\d)\b/g, (id, letter: string, n: string) =>
    names.isNumber(letter)
      ? probeNumber(names, letter, Number.parseInt(letter, 16) * 100 + Number(n))
      : names.isShort(letter)
        ? `probe-${letter}${n}`
        : id,
  )

/** The id of a probe as a number; `n` is below 1600. */
function probeNumber(names: Names, letter: string, n: number): string {
  const first = names.isSmall(letter) ? 30_000 : names.isPositive(letter) ? 2_146_000_000 : 757_000_000
  return `${names.isPositive(letter) ? '' : '-'}${first + n}`
}
