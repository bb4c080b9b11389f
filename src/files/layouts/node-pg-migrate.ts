import { type Finding, finding } from '../../model/report.js'
import {
  byNumber,
  byText,
  type Folder,
  type LaidOut,
  type Layout,
  markersOf,
  mixedDigits,
  partsBetween,
  titleOf,
  unnumbered,
  withoutZeros,
} from '../layout.js'
import { lineOf } from '../statements.js'

const nodePgName = /^(\d+)[-_](.*)\.sql$/
const nodePgUp = /^[ \t]*--[\s-]*up[ \t]+migration\b([^\r\n]*)/gim
const nodePgDown = /^[ \t]*--[\s-]*down[ \t]+migration\b([^\r\n]*)/gim

/** `-- Up Migration` and `-- Down Migration` in one file, compared as numbers. */
export default {
  title: 'node-pg-migrate',
  folders: ['migrations', 'db/migrations'],
  detect: folder => (folder.someText(/^[ \t]*--[\s-]*up[ \t]+migration\b/im) ? 48 : 0),
  read: folder => {
    const names = folder.sql
      .filter(name => nodePgName.test(name))
      .sort((a, b) => byNumber(nodePgName.exec(a)![1]!, nodePgName.exec(b)![1]!) || byText(a, b))
    const migrations = names.map(file => readNodePgMigrate(folder, file))
    const others = folder.sql.filter(name => !nodePgName.test(name))
    return {
      migrations,
      faults: [
        ...unnumbered(folder, others, '<timestamp>_name.sql'),
        ...folder.files
          .filter(name => /^\d+[-_].*\.(?:[cm]?js|[cm]?ts)$/.test(name) && !name.endsWith('.d.ts'))
          .map(name => finding('NOT_SQL', `${folder.shown}${name}`, { tool: 'node-pg-migrate' })),
        ...mixedDigits(
          migrations.map(m => ({ version: withoutZeros(m.foreign.version), path: m.path })),
          'numbers',
        ),
      ],
    }
  },
} satisfies Layout

function readNodePgMigrate(folder: Folder, file: string): LaidOut {
  const [, version, slug] = nodePgName.exec(file) as unknown as [string, string, string]
  const faults: Finding[] = []
  const source = folder.text(file)
  const path = `${folder.shown}${file}`
  const [first, second] = markersOf(source, nodePgUp)
  const [back, more] = markersOf(source, nodePgDown)
  const twice = second ?? more
  if (twice)
    faults.push(
      finding('BAD_LAYOUT', `${path}:${lineOf(source, twice.start).line}`, {
        reason: 'a file has one `-- Up Migration` and one `-- Down Migration`',
      }),
    )
  const parts = partsBetween(source, first, back)
  return {
    name: file.slice(0, -4),
    title: titleOf(slug),
    path,
    text: parts.up,
    transaction: 'as-needed',
    down: parts.down === null ? null : { path, text: parts.down, transaction: 'as-needed' },
    // the tool records names: two files with one number are two migrations
    key: file,
    faults,
    foreign: { version, description: slug, script: file.slice(0, -4), source, repeatable: false, at: null },
  }
}
