import { type Finding, finding } from '../../model/report.js'
import { byNumber, withoutZeros } from '../../model/versions.js'
import { byText, type Folder, type LaidOut, type Layout, titleOf } from '../layout.js'
import { badLayout } from '../marked_parts.js'

const versioned = /^([VUB])([0-9][0-9._]*)__(.*)\.sql$/
const repeatable = /^R__(.*)\.sql$/
/** Names of callbacks: SQL that Flyway runs before or after its own work. */
const callback =
  /^(?:before|after)(?:Each)?(?:Migrate|Undo|Clean|Info|Validate|Baseline|Repair|Connect|Version|Repeatables|Versioned)/
const wanted = 'V<version>__<description>.sql or R__<description>.sql'

interface FlywayFile {
  folder: Folder
  file: string
  /** The path below Flyway's folder. It identifies a script in Flyway's history. */
  script: string
}

/**
 * `V1_2__name.sql`, `U1_2__name.sql`, `R__name.sql`, in folders of any depth. Versions are compared part by
 * part. Repeatable files come last, sorted by description, and run again when they change.
 */
export default {
  title: 'Flyway',
  folders: ['src/main/resources/db/migration', 'db/migration', 'sql', 'flyway/sql'],
  detect: folder =>
    // do not search below a folder that has files of other kinds: it may be a whole repository
    (folder.files.length > 0 ? folder.files : everyFile(folder).map(f => f.file)).some(file =>
      /^(?:V[0-9][0-9._]*|R)__.*\.sql$/.test(file),
    )
      ? 45
      : 0,
  read: folder => {
    const faults: Finding[] = []
    const undo = new Map<string, FlywayFile>()
    const once: LaidOut[] = []
    const again: LaidOut[] = []
    const files = everyFile(folder)
    for (const found of files) {
      const parts = versioned.exec(found.file)
      if (parts?.[1] === 'U') undo.set(versionKey(parts[2]!), found)
    }
    for (const found of files) {
      const { file } = found
      const path = `${found.folder.shown}${file}`
      const [, kind, version, description] = versioned.exec(file) ?? []
      const repeated = repeatable.exec(file)?.[1]
      if (kind === 'V') once.push(readFlyway(found, version!, description!, undo))
      else if (repeated !== undefined) again.push(readFlyway(found, null, repeated, undo))
      else if (kind === 'B') faults.push(finding('UNNUMBERED_FILE', path, { wanted }))
      else if (kind === undefined && file.endsWith('.sql'))
        faults.push(
          callback.test(file)
            ? finding('NOT_SQL', path, { tool: 'Flyway' }, 'warn')
            : finding('UNNUMBERED_FILE', path, { wanted }),
        )
      else if (/^[VR][0-9._]*__.*\.(?:java|class)$/.test(file))
        faults.push(finding('NOT_SQL', path, { tool: 'Flyway' }))
    }
    once.sort((a, b) => byParts(a.key, b.key))
    again.sort((a, b) => byText(a.foreign.description, b.foreign.description))
    const versions = new Set(once.map(m => m.key))
    for (const [version, { folder: at, file }] of undo)
      if (!versions.has(version)) faults.push(finding('ORPHAN_ROLLBACK', `${at.shown}${file}`, {}, 'warn'))
    return { migrations: [...once, ...again], faults }
  },
} satisfies Layout

/** The files of a folder and of all folders below it, as Flyway finds them. */
function everyFile(folder: Folder, below = '', depth = 0): FlywayFile[] {
  const own = folder.files.map(file => ({ folder, file, script: below + file }))
  if (depth === 6) return own
  const names = folder.folders.filter(name => name !== 'node_modules')
  return [...own, ...names.flatMap(name => everyFile(folder.folder(name), `${below}${name}/`, depth + 1))]
}

/** Equal for versions that are the same for Flyway: `1`, `1.0` and `01_0`. */
const versionKey = (version: string): string =>
  version
    .split(/[._]+/)
    .map(withoutZeros)
    .join('.')
    .replace(/(?:\.0?)+$/, '')

function byParts(a: string, b: string): number {
  const [x, y] = [a.split('.'), b.split('.')]
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const order = byNumber(x[i] || '0', y[i] || '0')
    if (order !== 0) return order
  }
  return 0
}

function readFlyway(
  { folder, file, script }: FlywayFile,
  version: string | null,
  slug: string,
  undo: Map<string, FlywayFile>,
): LaidOut {
  const { path, text: source } = folder.file(file)
  const key = version === null ? `R ${titleOf(slug)}` : versionKey(version)
  const back = version === null ? undefined : undo.get(key)
  const placeholder = /\$\{[\w.:-]+\}/.exec(source)
  const reason = `Flyway would put a value in for the placeholder ${placeholder?.[0]}`
  const faults = placeholder ? [badLayout(source, path, reason, placeholder.index)] : []
  const transaction = (at: Folder, name: string) => {
    const settings = at.files.includes(`${name}.conf`) ? at.text(`${name}.conf`) : ''
    return /^\s*executeInTransaction\s*=\s*false\b/m.test(settings)
      ? ('each' as const)
      : ('as-needed' as const)
  }
  return {
    name: file.slice(0, -4),
    title: titleOf(slug),
    path,
    text: source,
    transaction: transaction(folder, file),
    down: back ? { ...back.folder.file(back.file), transaction: transaction(back.folder, back.file) } : null,
    key,
    faults,
    foreign: {
      version: version === null ? '' : version.replaceAll('_', '.'),
      description: slug.replaceAll('_', ' '),
      script,
      source,
      repeatable: version === null,
      at: null,
    },
  }
}
