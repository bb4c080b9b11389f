import { finding } from '../../model/report.js'
import { byNumber, byText, type Layout, mixedDigits, titleOf, unnumbered, withoutZeros } from '../layout.js'

const numberedName = /^(\d+)(?:[-_.\s]*(.*))?\.sql$/
/** Names that people give to the way backName of a file beside it. */
const backName = /^(\d+.*?)[-_.](?:down|rollback|undo|revert)\.sql$/i

/** Numbered SQL files that no tool in particular wrote: `001_name.sql`, compared as numbers. */
export default {
  title: 'numbered SQL files',
  folders: ['db/migrations', 'migrations', 'database/migrations', 'sql/migrations', 'db/migrate', 'sql'],
  detect: folder => (folder.sql.some(name => numberedName.test(name)) ? 10 : 0),
  read: folder => {
    const downs = new Map(
      folder.sql.flatMap(name => (backName.test(name) ? [[backName.exec(name)![1]!, name]] : [])),
    )
    const names = folder.sql
      .filter(name => numberedName.test(name) && !backName.test(name))
      .sort((a, b) => byNumber(numberedName.exec(a)![1]!, numberedName.exec(b)![1]!) || byText(a, b))
    const migrations = names.map(file => {
      const [, version, slug = ''] = numberedName.exec(file) as unknown as [string, string, string?]
      const source = folder.text(file)
      const base = file.slice(0, -4).replace(/[-_.]up$/i, '')
      const down = downs.get(base)
      downs.delete(base)
      return {
        name: base,
        title: titleOf(slug) || base,
        path: `${folder.shown}${file}`,
        text: source,
        transaction: 'as-needed' as const,
        down: down
          ? { path: `${folder.shown}${down}`, text: folder.text(down), transaction: 'as-needed' as const }
          : null,
        key: withoutZeros(version),
        faults: [],
        foreign: { version, description: slug, script: file, source, repeatable: false, at: null },
      }
    })
    const others = folder.sql.filter(name => !numberedName.test(name) && !backName.test(name))
    return {
      migrations,
      faults: [
        ...unnumbered(folder, others, '<number>_name.sql'),
        ...[...downs.values()].map(name => finding('ORPHAN_ROLLBACK', `${folder.shown}${name}`, {}, 'warn')),
        ...mixedDigits(
          migrations.map(m => ({ version: withoutZeros(m.foreign.version), path: m.path })),
          'numbers',
        ),
      ],
    }
  },
} satisfies Layout
