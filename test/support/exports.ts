import type { DocumentCase } from './elements.js'

/** Exports in the formats that applications write and their importers read, with all that stands beside texts. */

type Json = Record<string, unknown>

/** A node of a ChatGPT export; `more` is what its message has beside a text. */
const node = (
  id: string,
  parent: string | null,
  children: string[],
  role: string,
  content: Json,
  more: Json = {},
) => ({
  [id]: {
    id,
    parent,
    children,
    message: {
      id,
      author: { role, name: null, metadata: {} },
      create_time: 1735689600.25,
      update_time: null,
      content,
      status: 'finished_successfully',
      end_turn: true,
      weight: 1,
      metadata: { model_slug: 'gpt-4o', timestamp_: 'absolute', request_id: '87d1', citations: [] },
      recipient: 'all',
      channel: null,
      ...more,
    },
  },
})
const hidden = { weight: 0, metadata: { is_visually_hidden_from_conversation: true } }
const texts = (...parts: unknown[]): Json => ({ content_type: 'text', parts })

const chatGpt = {
  title: 'Trams',
  create_time: 1735689600.123,
  update_time: 1735689700.5,
  moderation_results: [],
  conversation_id: 'g',
  is_archived: false,
  safe_urls: [],
  default_model_slug: 'gpt-4o',
  current_node: 'g9',
  mapping: {
    root: { id: 'root', message: null, parent: null, children: ['g0'] },
    ...node('g0', 'root', ['g1'], 'system', texts(''), hidden),
    ...node(
      'g1',
      'g0',
      ['g2'],
      'user',
      {
        content_type: 'user_editable_context',
        user_profile: 'They drive trams.',
        user_instructions: 'Be brief.',
      },
      hidden,
    ),
    ...node('g2', 'g1', ['g3', 'g4'], 'user', {
      content_type: 'multimodal_text',
      parts: [
        {
          content_type: 'image_asset_pointer',
          asset_pointer: 'file-service://file-1',
          size_bytes: 9,
          width: 2,
          height: 2,
        },
        'Which tram, in the picture?',
      ],
    }),
    // an answer that was made again: the second one is the one that is shown
    ...node('g3', 'g2', [], 'assistant', texts('Line 30, at first.')),
    ...node(
      'g4',
      'g2',
      ['g5'],
      'assistant',
      { content_type: 'code', language: 'python', text: 'lines(30)' },
      { recipient: 'python' },
    ),
    ...node('g5', 'g4', ['g6'], 'tool', { content_type: 'execution_output', text: 'Line 32' }),
    ...node('g6', 'g5', ['g7'], 'assistant', {
      content_type: 'thoughts',
      thoughts: [{ summary: 'Trams', content: 'They mean the tram.' }],
      source_analysis_msg_id: 'g5',
    }),
    ...node('g7', 'g6', ['g8'], 'assistant', texts('Line 34.', 'Or line 36.')),
    ...node('g8', 'g7', ['g9'], 'user', {
      content_type: 'multimodal_text',
      parts: [
        { content_type: 'audio_transcription', text: 'And back, aloud?', direction: 'in', decoding_id: null },
        { content_type: 'audio_asset_pointer', asset_pointer: 'sediment://file_2', format: 'wav' },
      ],
    }),
    ...node('g9', 'g8', [], 'assistant', {
      content_type: 'tether_quote',
      url: 'https://example.com',
      domain: 'example.com',
      text: 'Line 38, says the page.',
      title: 'Lines',
    }),
  },
}

const libreChat = (id: string, parentMessageId: string, sender: string, more: Json) => ({
  _id: `66${id}`,
  messageId: id,
  __v: 0,
  conversationId: 'l',
  createdAt: '2025-04-09T14:32:05.230Z',
  updatedAt: '2025-04-09T14:32:05.230Z',
  endpoint: 'openAI',
  error: false,
  isCreatedByUser: sender === 'User',
  isEdited: false,
  model: null,
  parentMessageId,
  sender,
  unfinished: false,
  tokenCount: 9,
  user: '65f1',
  ...more,
})
const noParent = '00000000-0000-0000-0000-000000000000'
const libreChatOf = {
  conversationId: 'l',
  endpoint: 'openAI',
  title: 'Trams',
  exportAt: '16:33:32 GMT+0200',
  options: { model: 'gpt-4o', title: 'Trams' },
}

const assistant = (
  message_id: string,
  parent_id: string | null,
  role: string,
  text: string,
  more: Json = {},
) => ({
  message_id,
  parent_id,
  user_id: '2c0f',
  created_date: '2025-02-07T18:00:21.100000+00:00',
  text,
  role,
  lang: 'en',
  review_count: 3,
  review_result: true,
  deleted: false,
  rank: 0,
  synthetic: false,
  model_name: null,
  detoxify: { toxicity: 0.0004, identity_attack: 0.0001 },
  message_tree_id: 't1',
  tree_state: 'ready_for_export',
  emojis: { name: ['+1', '_skip_reply'], count: [2, 1] },
  labels: { name: ['spam', 'quality'], value: [0, 0.8], count: [3, 3] },
  ...more,
})

export const exportCases: Record<string, DocumentCase> = {
  'ChatGPT, an export: hidden nodes, an answer made again, tools, pictures and speech': {
    document: chatGpt,
    messages: [
      '',
      '\nWhich tram, in the picture?',
      'lines(30)',
      'Line 32',
      'Line 34.\nOr line 36.',
      'And back, aloud?\n',
      'Line 38, says the page.',
    ],
    aside: [
      'its text is in no place that is known',
      'it says only what a model thought',
      'it is on a branch that the conversation has left',
    ],
  },
  'LibreChat, an export that is not recursive, with branches': {
    document: {
      ...libreChatOf,
      branches: true,
      recursive: false,
      messages: [
        libreChat('m1', noParent, 'User', { text: 'Which tram, at length?' }),
        libreChat('m2', 'm1', 'GPT-4', { text: 'Line 40.', finish_reason: 'incomplete' }),
        libreChat('m3', 'm1', 'GPT-4', { text: 'Line 42.', unfinished: true }),
        libreChat('m4', noParent, 'User', { text: 'Which tram, at more length?' }),
        libreChat('m5', 'm4', 'Agent', {
          text: '',
          content: [
            { type: 'think', think: 'They mean the tram.' },
            { type: 'text', text: { value: 'Line 44.' } },
            {
              type: 'tool_call',
              tool_call: { id: 'c', name: 'trams', args: '{}', output: 'two of them', progress: 1 },
            },
          ],
        }),
      ],
    },
    messages: ['Which tram, at length?', 'Line 40.', 'Line 42.', 'Which tram, at more length?', 'Line 44.'],
  },
  'LibreChat, an export that is recursive': {
    document: {
      ...libreChatOf,
      branches: true,
      recursive: true,
      messagesTree: [
        libreChat('m6', noParent, 'User', {
          text: 'Which tram, one in the other?',
          children: [
            libreChat('m7', 'm6', 'GPT-4', {
              text: 'Line 46.',
              children: [libreChat('m8', 'm7', 'User', { text: 'And for ten people?', children: [] })],
            }),
          ],
        }),
      ],
    },
    messages: ['Which tram, one in the other?', 'Line 46.', 'And for ten people?'],
  },
  'Open WebUI, an export: what a model gave out, item by item': {
    document: {
      id: 'w',
      user_id: 'u1',
      title: 'Trams',
      archived: false,
      share_id: null,
      created_at: 1735689600,
      chat: {
        title: 'Trams',
        models: ['r1'],
        history: {
          currentId: 'w2',
          messages: {
            w1: {
              id: 'w1',
              parentId: null,
              childrenIds: ['w2'],
              role: 'user',
              content: 'Which tram, out?',
              timestamp: 1735689600,
              models: ['r1'],
            },
            w2: {
              id: 'w2',
              parentId: 'w1',
              childrenIds: [],
              role: 'assistant',
              content: '',
              model: 'r1',
              timestamp: 1735689610,
              done: true,
              output: [
                {
                  type: 'reasoning',
                  id: 'r-1',
                  status: 'completed',
                  content: [{ type: 'output_text', text: 'They mean the tram.' }],
                  summary: null,
                  duration: 3,
                },
                {
                  type: 'function_call',
                  id: 'c',
                  call_id: 'c',
                  name: 'trams',
                  arguments: '{"to": "the lake"}',
                },
                {
                  type: 'message',
                  id: 'm-1',
                  role: 'assistant',
                  status: 'completed',
                  content: [{ type: 'output_text', text: 'Line 48.' }],
                },
              ],
            },
          },
        },
      },
    },
    messages: ['Which tram, out?', 'Line 48.'],
  },
  'Open-Assistant, a tree with all that stands in it': {
    document: {
      message_tree_id: 't1',
      tree_state: 'ready_for_export',
      prompt: {
        ...assistant('t1', null, 'prompter', 'Which tram, by vote?'),
        replies: [
          {
            ...assistant('t2', 't1', 'assistant', 'Line 50.'),
            replies: [
              {
                ...assistant('t3', 't2', 'prompter', 'And at night, by vote?'),
                replies: [{ ...assistant('t4', 't3', 'assistant', 'None, by vote.'), replies: [] }],
              },
            ],
          },
          {
            ...assistant('t5', 't1', 'assistant', 'Line 52.', {
              rank: 1,
              synthetic: true,
              model_name: 'pythia',
            }),
            replies: [],
          },
        ],
      },
    },
    messages: ['Which tram, by vote?', 'Line 50.', 'And at night, by vote?', 'None, by vote.', 'Line 52.'],
  },
  'Open-Assistant, messages one after the other': {
    document: [
      assistant('t6', null, 'prompter', 'Which tram, in a row?'),
      assistant('t7', 't6', 'assistant', 'Line 54.'),
    ],
    messages: ['Which tram, in a row?', 'Line 54.'],
  },
  'Claude, an export: thoughts, a tool and a file': {
    document: {
      uuid: 'c',
      name: 'Trams',
      created_at: '2025-05-01T10:00:00.000000Z',
      account: { uuid: 'a' },
      chat_messages: [
        {
          uuid: 'c1',
          sender: 'human',
          text: 'Which tram, on paper?',
          content: [
            {
              start_timestamp: null,
              stop_timestamp: null,
              type: 'text',
              text: 'Which tram, on paper?',
              citations: [],
            },
          ],
          created_at: '2025-05-01T10:00:00.000000Z',
          attachments: [
            {
              file_name: 'lines.txt',
              file_size: 9,
              file_type: 'txt',
              extracted_content: 'All lines of the town',
            },
          ],
          files: [{ file_name: 'map.png' }],
        },
        {
          uuid: 'c2',
          sender: 'assistant',
          text: '',
          content: [
            {
              type: 'thinking',
              thinking: 'They mean the tram.',
              summaries: [{ summary: 'Trams, of course' }],
              cut_off: false,
            },
            { type: 'tool_use', name: 'trams', input: { to: 'the lake' }, message: 'Looking for trams' },
            {
              type: 'tool_result',
              name: 'trams',
              content: [{ type: 'text', text: 'two of them' }],
              is_error: false,
            },
            { type: 'text', text: 'Line 56.', citations: [] },
          ],
          created_at: '2025-05-01T10:00:09.000000Z',
          attachments: [],
          files: [],
        },
      ],
    },
    messages: ['Which tram, on paper?', 'two of them\nLine 56.'],
  },
}
