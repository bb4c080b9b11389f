import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitepress'
import { anchorOf, asOnGitHub, pageOf, repository, root } from './markdown.js'

/** A line of the sidebar: the first heading of a file of the repository. */
function entry(file: string) {
  const heading = /^# (.+)$/m.exec(readFileSync(join(root, file), 'utf8'))
  return { text: heading![1]!, link: `/${pageOf(file)!.replace(/(index)?\.md$/, '')}` }
}

const group = (text: string, ...names: string[]) => ({
  text,
  items: names.map(name => entry(`docs/${name}.md`)),
})

/** `npm run docs`: the Markdown of docs/, the README as its front page and the changelog, as a site. */
export default defineConfig({
  title: 'rethread',
  description: 'Takes a live chat application on PostgreSQL to sessions and messages.',
  lang: 'en',
  head: [
    // no picture is asked for that is not there
    ['link', { rel: 'icon', href: 'data:,' }],
    // the language of a block of code, dark enough to be read
    ['style', {}, 'html:root { --vp-code-lang-color: var(--vp-c-text-2) }'],
    ['style', {}, '.DocSearch-Button .DocSearch-Button-Keys { display: none !important }'],
  ],
  srcExclude: ['!(docs)/**/*', '!(README|CHANGELOG).md'],
  rewrites: file => pageOf(file) ?? file,
  outDir: '.rethread/site',
  cacheDir: '.rethread/vitepress',
  markdown: {
    anchor: { slugify: anchorOf },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    attrs: { disable: true },
    config: asOnGitHub,
  },
  themeConfig: {
    search: {
      provider: 'local',
      // the button says its key in its own text, so that its name for screen readers is what it shows
      options: {
        translations: { button: { buttonText: 'Search (Ctrl K)', buttonAriaLabel: 'Search (Ctrl K)' } },
      },
    },
    nav: [{ text: 'GitHub', link: repository }],
    outline: [2, 3],
    sidebar: [
      { items: [{ text: 'Overview', link: '/' }] },
      group(
        'Tutorials',
        'tutorials/merged-chats',
        'tutorials/json-history',
        'tutorials/own-track',
        'tutorials/plain-postgresql',
      ),
      group('How-to guides', 'dry-run', 'ci', 'operating', 'rollback', 'library', 'other-tools'),
      group(
        'Reference',
        'reference/commands',
        'reference/findings',
        'reference/hazards',
        'reference/checks',
        'reference/settings',
        'files',
        'tracks',
      ),
      group('Explanation', 'backfill', 'verification', 'architecture'),
      {
        text: 'More',
        items: [
          ...['glossary', 'troubleshooting', 'benchmarks'].map(name => entry(`docs/${name}.md`)),
          entry('CHANGELOG.md'),
        ],
      },
    ],
  },
})
