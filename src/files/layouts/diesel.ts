import { foreignFile } from '../../model/foreign.js'
import { finding } from '../../model/report.js'
import { byText, type LaidOut, type Layout, titleOf } from '../layout.js'
import { mixedDigits } from '../numbered_files.js'

/** Folders with `up.sql` and `down.sql`; the version is what precedes `_`, compared as text. */
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
        const { path, text: source } = own.file('up.sql')
        const settings = own.files.includes('metadata.toml') ? own.text('metadata.toml') : ''
        const isApart = /^\s*run_in_transaction\s*=\s*false\b/m.test(settings)
        const transaction = isApart ? 'each' : 'as-needed'
        const version = before.replaceAll('-', '')
        const slug = rest.join('_')
        return {
          name,
          title: titleOf(slug) || name,
          path,
          text: source,
          transaction,
          down: own.files.includes('down.sql') ? { ...own.file('down.sql'), transaction } : null,
          key: version,
          faults: [],
          foreign: foreignFile({ version, description: slug, script: name, source }),
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
        ...mixedDigits(migrations, 'text'),
      ],
    }
  },
} satisfies Layout
