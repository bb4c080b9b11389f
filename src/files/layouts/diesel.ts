import { finding } from '../../model/report.js'
import { byText, type LaidOut, type Layout, mixedDigits, titleOf, withoutZeros } from '../layout.js'

/** Folders with `up.sql` and `down.sql`; the version is what stands before `_`, compared as text. */
export default {
  title: 'Diesel',
  folders: ['migrations'],
  detect: folder => (folder.folders.some(name => folder.folder(name).files.includes('up.sql')) ? 45 : 0),
  read: folder => {
    const named = folder.folders.filter(name => folder.folder(name).sql.length > 0)
    const migrations = named
      .filter(name => folder.folder(name).files.includes('up.sql'))
      .map((name): LaidOut => {
        const own = folder.folder(name)
        const [before, ...rest] = name.split('_') as [string, ...string[]]
        const source = own.text('up.sql')
        const settings = own.files.includes('metadata.toml') ? own.text('metadata.toml') : ''
        const apart = /^\s*run_in_transaction\s*=\s*false\b/m.test(settings)
        const transaction = apart ? 'each' : 'as-needed'
        const version = before.replaceAll('-', '')
        return {
          name,
          title: titleOf(rest.join('_')) || name,
          path: `${own.shown}up.sql`,
          text: source,
          transaction,
          down: own.files.includes('down.sql')
            ? { path: `${own.shown}down.sql`, text: own.text('down.sql'), transaction }
            : null,
          key: version,
          faults: [],
          foreign: {
            version,
            description: rest.join('_'),
            script: name,
            source,
            repeatable: false,
            at: null,
          },
        }
      })
      .sort((a, b) => byText(a.key, b.key))
    const without = named.filter(name => !folder.folder(name).files.includes('up.sql'))
    return {
      migrations,
      faults: [
        ...without.map(name =>
          finding('UNNUMBERED_FILE', `${folder.shown}${name}/`, { wanted: '<version>_name/up.sql' }),
        ),
        ...mixedDigits(
          migrations
            .filter(m => /^\d+$/.test(m.key))
            .map(m => ({ version: withoutZeros(m.key), path: m.path })),
          'text',
        ),
      ],
    }
  },
} satisfies Layout
