import { finding } from '../../model/report.js'
import { byNumber, byText, type Layout, mixedDigits, titleOf, unnumbered, withoutZeros } from '../layout.js'

const golangName = /^([0-9]+)_(.*)\.(up|down)\.sql$/

/** `000001_name.up.sql` and `.down.sql`, compared as numbers. */
export default {
  title: 'golang-migrate',
  folders: ['db/migrations', 'migrations', 'db/migration', 'internal/db/migrations'],
  detect: folder => (folder.sql.some(name => /^\d+_.*\.up\.sql$/.test(name)) ? 45 : 0),
  read: folder => {
    const known = folder.sql.flatMap(file => {
      const parts = golangName.exec(file)
      return parts ? [{ file, version: parts[1]!, slug: parts[2]!, way: parts[3]! }] : []
    })
    // the tool finds the way back by the version, whatever the rest of the name says
    const downs = new Map(known.filter(k => k.way === 'down').map(k => [withoutZeros(k.version), k.file]))
    const migrations = known
      .filter(k => k.way === 'up')
      .sort((a, b) => byNumber(a.version, b.version) || byText(a.file, b.file))
      .map(({ file, version, slug }) => {
        const source = folder.text(file)
        const down = downs.get(withoutZeros(version))
        return {
          name: file.slice(0, -'.up.sql'.length),
          title: titleOf(slug),
          path: `${folder.shown}${file}`,
          text: source,
          transaction: 'as-needed' as const,
          down: down
            ? { path: `${folder.shown}${down}`, text: folder.text(down), transaction: 'as-needed' as const }
            : null,
          key: withoutZeros(version),
          faults: [],
          foreign: {
            version: withoutZeros(version),
            description: slug,
            script: file,
            source,
            repeatable: false,
            at: null,
          },
        }
      })
    const ups = new Set(migrations.map(m => m.key))
    const orphans = [...downs].filter(([version]) => !ups.has(version)).map(([, file]) => file)
    const others = folder.sql.filter(name => !golangName.test(name))
    return {
      migrations,
      faults: [
        ...unnumbered(folder, others, '<number>_name.up.sql'),
        ...orphans.map(file => finding('ORPHAN_ROLLBACK', `${folder.shown}${file}`, {}, 'warn')),
        ...mixedDigits(
          migrations.map(m => ({ version: m.key, path: m.path })),
          'numbers',
        ),
      ],
    }
  },
} satisfies Layout
