import { exportCases } from './exports.js'

/** One element of a session's messages, as an application or an export writes it, and what it must become. */
export interface ElementCase {
  /** The shape that the reader finds. */
  shape: string
  element: unknown
  /** The message: its role and its text. Null where the element must be set aside. */
  becomes: [role: string, text: string] | null
  /** Why it is set aside. */
  reason?: string
  /** The time that it says, as ISO text in UTC; by default it says none. */
  at?: string
}

const say = (role: string, text: string): [string, string] => [role, text]

/** Elements of every shape that is known, by what is special about them. */
export const elementCases: Record<string, ElementCase> = {
  'OpenAI: a text': {
    shape: 'role and content',
    element: { role: 'user', content: 'Which tram goes to the lake?', timestamp: 1735689600 },
    becomes: say('user', 'Which tram goes to the lake?'),
    at: '2025-01-01T00:00:00Z',
  },
  'OpenAI: text and picture': {
    shape: 'OpenAI content parts',
    element: {
      role: 'user',
      content: [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
        { type: 'text', text: 'And that?' },
      ],
    },
    becomes: say('user', 'What is this?\n\nAnd that?'),
  },
  'OpenAI: only a picture': {
    shape: 'OpenAI content parts',
    element: {
      role: 'user',
      content: [{ type: 'input_image', image_url: 'https://example.com/my cat.png' }],
    },
    becomes: say('user', ''),
  },
  'OpenAI: output of the Responses API': {
    shape: 'OpenAI content parts',
    element: {
      type: 'message',
      id: 'msg_1',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: 'Line 2.', annotations: [] }],
    },
    becomes: say('assistant', 'Line 2.'),
  },
  'OpenAI: message of a thread': {
    shape: 'OpenAI content parts',
    element: {
      id: 'msg_abc',
      object: 'thread.message',
      created_at: 1735689600,
      thread_id: 'thread_1',
      role: 'assistant',
      content: [{ type: 'text', text: { value: 'Line 4.', annotations: [] } }],
    },
    becomes: say('assistant', 'Line 4.'),
    at: '2025-01-01T00:00:00Z',
  },
  'OpenAI: a refusal': {
    shape: 'role and content',
    element: { role: 'assistant', content: null, refusal: "I can't help with that." },
    becomes: say('assistant', "I can't help with that."),
  },
  'OpenAI: a refusal as a part': {
    shape: 'OpenAI content parts',
    element: { role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] },
    becomes: say('assistant', 'No.'),
  },
  'OpenAI: a call of a tool': {
    shape: 'role and content',
    element: {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'trams', arguments: '{"to": "the lake"}' } },
      ],
    },
    becomes: say('assistant', ''),
  },
  'OpenAI: the result of a tool': {
    shape: 'role and content',
    element: { role: 'tool', tool_call_id: 'call_1', content: '[2, 4]' },
    becomes: say('assistant', '[2, 4]'),
  },
  'OpenAI: a call as an item of its own': {
    shape: 'type and text',
    element: { type: 'function_call', call_id: 'call_1', name: 'trams', arguments: '{"to": "the lake"}' },
    becomes: say('assistant', ''),
  },
  'OpenAI: the result as an item of its own': {
    shape: 'type and text',
    element: { type: 'function_call_output', call_id: 'call_1', output: '[2, 4]' },
    becomes: say('assistant', '[2, 4]'),
  },
  'OpenAI: a developer says it': {
    shape: 'role and content',
    element: { role: 'developer', content: 'Be brief.' },
    becomes: say('system', 'Be brief.'),
  },
  'DeepSeek: thoughts beside the text': {
    shape: 'role and content',
    element: { role: 'assistant', content: 'Line 2.', reasoning_content: 'They mean the tram.' },
    becomes: say('assistant', 'Line 2.'),
  },
  'AI SDK 4: content and parts say the same': {
    shape: 'AI SDK 4',
    element: {
      id: 'a1',
      createdAt: '2025-05-01T10:00:00.000Z',
      role: 'assistant',
      content: 'Line 2.',
      parts: [
        { type: 'step-start' },
        { type: 'reasoning', reasoning: 'Trams.', details: [{ type: 'text', text: 'Trams.' }] },
        { type: 'text', text: 'Line 2.' },
      ],
    },
    becomes: say('assistant', 'Line 2.'),
    at: '2025-05-01T10:00:00Z',
  },
  'AI SDK 4: content has only the last step': {
    shape: 'AI SDK 4',
    element: {
      role: 'assistant',
      content: 'Line 2.',
      parts: [
        { type: 'text', text: 'Let me look.' },
        {
          type: 'tool-invocation',
          toolInvocation: {
            state: 'result',
            toolCallId: 'c',
            toolName: 'trams',
            args: {},
            result: 'two of them',
          },
        },
        { type: 'text', text: 'Line 2.' },
      ],
    },
    becomes: say('assistant', 'Let me look.\nLine 2.'),
  },
  'AI SDK 4: content is empty': {
    shape: 'AI SDK 4',
    element: { role: 'assistant', content: '', parts: [{ type: 'text', text: 'Line 2.' }] },
    becomes: say('assistant', 'Line 2.'),
  },
  'AI SDK 4: parts are files': {
    shape: 'AI SDK 4',
    element: {
      role: 'user',
      content: 'See the plan.',
      parts: [{ type: 'file', mimeType: 'application/pdf', data: 'JVBERi0=' }],
    },
    becomes: say('user', 'See the plan.'),
  },
  'AI SDK 5: steps, thoughts, a tool and a text': {
    shape: 'AI SDK 5',
    element: {
      id: 'b1',
      role: 'assistant',
      metadata: { createdAt: 1735689600123 },
      parts: [
        { type: 'step-start' },
        { type: 'reasoning', text: 'Trams.', state: 'done' },
        {
          type: 'tool-trams',
          toolCallId: 'c',
          state: 'output-available',
          input: { to: 'the lake' },
          output: 'two of them',
        },
        { type: 'text', text: 'Line 2.', state: 'done' },
        { type: 'source-url', sourceId: 's', url: 'https://example.com', title: 'All lines' },
      ],
    },
    becomes: say('assistant', 'Line 2.'),
    at: '2025-01-01T00:00:00.123Z',
  },
  'AI SDK 5: only a tool': {
    shape: 'AI SDK 5',
    element: {
      role: 'assistant',
      parts: [{ type: 'tool-trams', toolCallId: 'c', state: 'input-available', input: { to: 'the lake' } }],
    },
    becomes: say('assistant', ''),
  },
  'AI SDK: the result of a tool, as the model gets it': {
    shape: 'OpenAI content parts',
    element: {
      role: 'tool',
      content: [
        {
          type: 'tool-result',
          toolCallId: 'c',
          toolName: 'trams',
          output: { type: 'text', value: 'Line 2.' },
        },
      ],
    },
    becomes: say('assistant', 'Line 2.'),
  },
  'Anthropic: text and a call of a tool': {
    shape: 'Anthropic blocks',
    element: {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'They mean the tram.', signature: 'Eq' },
        { type: 'text', text: 'Let me look.' },
        { type: 'tool_use', id: 'toolu_1', name: 'trams', input: { to: 'the lake' } },
      ],
    },
    becomes: say('assistant', 'Let me look.'),
  },
  'Anthropic: the result of a tool': {
    shape: 'Anthropic blocks',
    element: {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'Line 2.' }] },
        { type: 'tool_result', tool_use_id: 'toolu_2', content: 'Line 4.' },
      ],
    },
    becomes: say('user', 'Line 2.\nLine 4.'),
  },
  'Anthropic: thoughts and a call of a tool': {
    shape: 'Anthropic blocks',
    element: {
      role: 'assistant',
      content: [
        { type: 'redacted_thinking', data: 'Eq' },
        { type: 'tool_use', id: 'toolu_1', name: 'trams', input: { to: 'the lake' } },
      ],
    },
    becomes: say('assistant', ''),
  },
  'Anthropic: only thoughts': {
    shape: 'Anthropic blocks',
    element: {
      role: 'assistant',
      content: [{ type: 'thinking', thinking: 'They mean it.', signature: 'Eq' }],
    },
    becomes: null,
    reason: 'it says only what a model thought',
  },
  'Gemini: a user': {
    shape: 'Gemini',
    element: {
      role: 'user',
      parts: [{ text: 'Which tram?' }, { inlineData: { mimeType: 'image/png', data: 'iVBO' } }],
    },
    becomes: say('user', 'Which tram?\n'),
  },
  'Gemini: a model with thoughts': {
    shape: 'Gemini',
    element: { role: 'model', parts: [{ text: 'Trams.', thought: true }, { text: 'Line 2.' }] },
    becomes: say('assistant', 'Line 2.'),
  },
  'Gemini: parts as texts': {
    shape: 'Gemini',
    element: { role: 'model', parts: ['Line 2.', 'Line 4.'] },
    becomes: say('assistant', 'Line 2.\nLine 4.'),
  },
  'Gemini: a call of a function': {
    shape: 'Gemini',
    element: { role: 'model', parts: [{ functionCall: { name: 'trams', args: { to: 'the lake' } } }] },
    becomes: say('assistant', ''),
  },
  'LangChain: a dictionary': {
    shape: 'LangChain',
    element: {
      type: 'human',
      data: {
        content: 'Which tram?',
        additional_kwargs: {},
        type: 'human',
        name: null,
        id: null,
        example: false,
      },
    },
    becomes: say('user', 'Which tram?'),
  },
  'LangChain: blocks in a dictionary': {
    shape: 'LangChain',
    element: {
      type: 'ai',
      data: {
        content: [
          { type: 'text', text: 'Line 2.' },
          { type: 'text', text: 'Line 4.' },
        ],
        type: 'ai',
      },
    },
    becomes: say('assistant', 'Line 2.\nLine 4.'),
  },
  'LangChain: a role of one’s own': {
    shape: 'LangChain',
    element: { type: 'chat', data: { role: 'assistant', content: 'Line 2.', type: 'chat' } },
    becomes: say('assistant', 'Line 2.'),
  },
  'LangChain: a call of a tool': {
    shape: 'LangChain',
    element: {
      type: 'ai',
      data: {
        content: '',
        additional_kwargs: {
          tool_calls: [{ id: 'c', function: { name: 'trams', arguments: '{"to": "the lake"}' } }],
        },
        tool_calls: [{ name: 'trams', args: { to: 'the lake' }, id: 'c', type: 'tool_call' }],
      },
    },
    becomes: say('assistant', ''),
  },
  'LangChain: an object that was serialized': {
    shape: 'LangChain object',
    element: {
      lc: 1,
      type: 'constructor',
      id: ['langchain_core', 'messages', 'AIMessageChunk'],
      kwargs: { content: 'Line 2.', tool_calls: [], additional_kwargs: {} },
    },
    becomes: say('assistant', 'Line 2.'),
  },
  'LangChain: a message that was dumped': {
    shape: 'type and content',
    element: {
      type: 'AIMessageChunk',
      content: 'Line 2.',
      additional_kwargs: {},
      response_metadata: {},
      id: 'run-1',
    },
    becomes: say('assistant', 'Line 2.'),
  },
  'n8n: memory': {
    shape: 'type and content',
    element: { type: 'human', content: 'Which tram?', additional_kwargs: {}, response_metadata: {} },
    becomes: say('user', 'Which tram?'),
  },
  'n8n: a row of its memory': {
    shape: 'type and content',
    element: {
      id: 7,
      session_id: 's1',
      created_at: '2025-05-01T10:00:00Z',
      message: { type: 'ai', content: 'Line 2.', tool_calls: [], invalid_tool_calls: [] },
    },
    becomes: say('assistant', 'Line 2.'),
    at: '2025-05-01T10:00:00Z',
  },
  'n8n: what comes in': {
    shape: 'n8n',
    element: { sessionId: 's1', action: 'sendMessage', chatInput: 'Which tram?' },
    becomes: say('user', 'Which tram?'),
  },
  'n8n: what goes out': {
    shape: 'n8n',
    element: { output: 'Line 2.' },
    becomes: say('assistant', 'Line 2.'),
  },
  'ChatGPT: a node': {
    shape: 'ChatGPT export',
    element: {
      id: 'n1',
      parent: null,
      children: ['n2'],
      message: {
        id: 'n1',
        author: { role: 'user', name: null, metadata: {} },
        create_time: 1735689600.25,
        content: { content_type: 'text', parts: ['Which tram?'] },
        metadata: { request_id: 'r' },
      },
    },
    becomes: say('user', 'Which tram?'),
    at: '2025-01-01T00:00:00.25Z',
  },
  'ChatGPT: code, without parts': {
    shape: 'ChatGPT export',
    element: {
      author: { role: 'assistant' },
      content: { content_type: 'code', language: 'python', text: 'print(2)' },
    },
    becomes: say('assistant', 'print(2)'),
  },
  'ChatGPT: output of code, without parts': {
    shape: 'ChatGPT export',
    element: {
      author: { role: 'tool', name: 'python' },
      content: { content_type: 'execution_output', text: '2' },
    },
    becomes: say('assistant', '2'),
  },
  'ChatGPT: what the user says of themselves': {
    shape: 'ChatGPT export',
    element: {
      author: { role: 'user' },
      content: {
        content_type: 'user_editable_context',
        user_profile: 'They drive trams.',
        user_instructions: '',
      },
    },
    becomes: null,
    reason: 'its text is in no place that is known',
  },
  'ChatGPT: thoughts': {
    shape: 'ChatGPT export',
    element: {
      author: { role: 'assistant' },
      content: { content_type: 'thoughts', thoughts: [{ summary: 'Trams', content: 'They mean the tram.' }] },
    },
    becomes: null,
    reason: 'it says only what a model thought',
  },
  'LibreChat: a user': {
    shape: 'LibreChat',
    element: {
      messageId: 'm1',
      parentMessageId: '00000000-0000-0000-0000-000000000000',
      sender: 'User',
      text: 'Which tram?',
      isCreatedByUser: true,
      createdAt: '2025-05-01T10:00:00.000Z',
    },
    becomes: say('user', 'Which tram?'),
    at: '2025-05-01T10:00:00Z',
  },
  'LibreChat: an agent': {
    shape: 'LibreChat',
    element: {
      messageId: 'm2',
      parentMessageId: 'm1',
      sender: 'Tram expert',
      text: '',
      isCreatedByUser: false,
      content: [
        { type: 'think', think: 'They mean the tram.' },
        { type: 'text', text: 'Line 2.' },
        { type: 'tool_call', tool_call: { id: 'c', name: 'trams', args: '{}', output: 'two of them' } },
      ],
    },
    becomes: say('assistant', 'Line 2.'),
  },
  'Open WebUI: a message': {
    shape: 'Open WebUI',
    element: {
      id: 'o1',
      parentId: null,
      childrenIds: ['o2'],
      role: 'user',
      content: 'Which tram?',
      timestamp: 1735689600,
      models: ['llama'],
    },
    becomes: say('user', 'Which tram?'),
    at: '2025-01-01T00:00:00Z',
  },
  'ShareGPT: a person': {
    shape: 'ShareGPT',
    element: { from: 'human', value: 'Which tram?' },
    becomes: say('user', 'Which tram?'),
  },
  'ShareGPT: a model': {
    shape: 'ShareGPT',
    element: { from: 'gpt', value: 'Line 2.' },
    becomes: say('assistant', 'Line 2.'),
  },
  'Open-Assistant: a message': {
    shape: 'Open-Assistant',
    element: {
      message_id: 'p1',
      parent_id: null,
      role: 'prompter',
      text: 'Which tram?',
      lang: 'en',
      created_date: '2025-05-01T10:00:00.5+00:00',
      emojis: { name: ['+1'], count: [2] },
    },
    becomes: say('user', 'Which tram?'),
    at: '2025-05-01T10:00:00.5Z',
  },
  'a sender and a text': {
    shape: 'sender and text',
    element: { sender: 'bot', text: 'Line 2.', time: '2025-05-01 10:00:00' },
    becomes: say('assistant', 'Line 2.'),
    at: '2025-05-01T10:00:00Z',
  },
  'Claude: an export': {
    shape: 'sender and text',
    element: {
      uuid: 'c1',
      sender: 'human',
      text: '',
      content: [{ type: 'text', text: 'Which tram?', start_timestamp: null }],
      created_at: '2025-05-01T10:00:00.000000Z',
      attachments: [],
      files: [],
    },
    becomes: say('user', 'Which tram?'),
    at: '2025-05-01T10:00:00Z',
  },
  'an author and a text': {
    shape: 'author and text',
    element: { author: 'user', text: 'Which tram?' },
    becomes: say('user', 'Which tram?'),
  },
  'a role and a text': {
    shape: 'role and text',
    element: { role: 'user', text: 'Which tram?' },
    becomes: say('user', 'Which tram?'),
  },
  'a role and a message': {
    shape: 'role and text',
    element: { role: 'assistant', message: 'Line 2.' },
    becomes: say('assistant', 'Line 2.'),
  },
  'a content that is an object': {
    shape: 'role and content',
    element: { role: 'assistant', content: { text: 'Line 2.' } },
    becomes: say('assistant', 'Line 2.'),
  },
  'a message that holds its content': {
    shape: 'role and text',
    element: { role: 'assistant', message: { content: 'Line 2.' } },
    becomes: say('assistant', 'Line 2.'),
  },
  'a text alone': { shape: 'text', element: 'Which tram?', becomes: null, reason: 'it has no role' },
  'nothing said': {
    shape: 'role and content',
    element: { role: 'user', content: '' },
    becomes: say('user', ''),
  },
  'a text where nobody looks': {
    shape: 'role and text',
    element: { role: 'assistant', reply: { said: 'Line 2.' } },
    becomes: null,
    reason: 'its text is in no place that is known',
  },
  'a text where nobody looks, beside a call': {
    shape: 'role and content',
    element: { role: 'assistant', content: null, tool_calls: [{ id: 'c' }], answer: 'It is line 2.' },
    becomes: null,
    reason: 'its text is in no place that is known',
  },
  'a part of an unknown kind': {
    shape: 'OpenAI content parts',
    element: { role: 'assistant', content: [{ type: 'card', title: 'Line 2.' }] },
    becomes: null,
    reason: 'its text is in no place that is known',
  },
  'n8n: what goes in': {
    shape: 'n8n',
    element: { input: 'Which tram?', sessionId: 's' },
    becomes: say('user', 'Which tram?'),
  },
  'n8n: a row of its older memory': {
    shape: 'LangChain',
    element: { id: 7, session_id: 's', message: { type: 'human', data: { content: 'Which tram?' } } },
    becomes: say('user', 'Which tram?'),
  },
  'a role that nobody knows': {
    shape: 'role and content',
    element: { role: 'narrator', content: 'Meanwhile, at the lake' },
    becomes: null,
    reason: "its role is 'narrator'",
  },
}

/** What a session keeps that is no plain list of messages, and its messages in order. */
export interface DocumentCase {
  document: unknown
  messages: string[]
  /** Why elements are set aside. */
  aside?: string[]
}

const webNode = (
  id: string,
  parentId: string | null,
  childrenIds: string[],
  role: string,
  content: string,
) => ({
  [id]: { id, parentId, childrenIds, role, content, timestamp: 1735689600 },
})

/** Whole documents, as applications and exports keep them. */
export const documentCases: Record<string, DocumentCase> = {
  ...exportCases,
  'Open WebUI: a history by key, with a branch that was left': {
    document: {
      title: 'Trams',
      history: {
        currentId: 'w3',
        messages: {
          ...webNode('w3', 'w1', [], 'assistant', 'Line 4, since today.'),
          ...webNode('w2', 'w1', [], 'assistant', 'Line 2, until yesterday.'),
          ...webNode('w1', null, ['w2', 'w3'], 'user', 'Which tram, by web?'),
        },
      },
    },
    messages: ['Which tram, by web?', 'Line 4, since today.'],
    aside: ['it is on a branch that the conversation has left'],
  },
  'LibreChat: messages that hold their answers': {
    document: {
      conversationId: 'l',
      title: 'Trams',
      recursive: true,
      messages: [
        {
          messageId: 'l1',
          isCreatedByUser: true,
          sender: 'User',
          text: 'Which tram, freely?',
          children: [
            {
              messageId: 'l2',
              isCreatedByUser: false,
              sender: 'Expert',
              text: 'Line 6.',
              children: [
                { messageId: 'l3', isCreatedByUser: true, sender: 'User', text: 'Thanks', children: [] },
              ],
            },
            { messageId: 'l4', isCreatedByUser: false, sender: 'Expert', text: 'Or line 8.', children: [] },
          ],
        },
      ],
    },
    messages: ['Which tram, freely?', 'Line 6.', 'Thanks', 'Or line 8.'],
  },
  'LibreChat: a list': {
    document: {
      conversationId: 'f',
      messages: [
        { messageId: 'f1', isCreatedByUser: true, sender: 'User', text: 'Which tram, flatly?' },
        { messageId: 'f2', isCreatedByUser: false, sender: 'Expert', text: 'Line 10.' },
      ],
    },
    messages: ['Which tram, flatly?', 'Line 10.'],
  },
  'Open-Assistant: a tree': {
    document: {
      message_tree_id: 'p1',
      tree_state: 'ready_for_export',
      prompt: {
        message_id: 'p1',
        text: 'Which tram, openly?',
        role: 'prompter',
        replies: [
          { message_id: 'p2', parent_id: 'p1', text: 'Line 12.', role: 'assistant', rank: 0, replies: [] },
          { message_id: 'p3', parent_id: 'p1', text: 'Line 14.', role: 'assistant', rank: 1, replies: [] },
        ],
      },
    },
    messages: ['Which tram, openly?', 'Line 12.', 'Line 14.'],
  },
  'Claude: an export': {
    document: {
      uuid: 'c',
      name: 'Trams',
      chat_messages: [
        {
          uuid: 'c1',
          sender: 'human',
          text: 'Which tram, clearly?',
          content: [],
          created_at: '2025-05-01T10:00:00Z',
        },
        { uuid: 'c2', sender: 'assistant', text: '', content: [{ type: 'text', text: 'Line 16.' }] },
      ],
    },
    messages: ['Which tram, clearly?', 'Line 16.'],
  },
  'an array whose elements hold their answers': {
    document: [
      { role: 'user', content: 'Which tram, deeply?', replies: [{ role: 'assistant', content: 'Line 18.' }] },
      { role: 'user', content: 'Thanks, deeply' },
    ],
    messages: ['Which tram, deeply?', 'Line 18.', 'Thanks, deeply'],
  },
  'questions and their answers in one element each': {
    document: [
      { question: 'Which tram, in pairs?', answer: 'Line 20.', timestamp: 1735689600 },
      { prompt: 'And back?', completion: 'Line 22.' },
      { user: 'At night?', assistant: null },
      { role: 'user', content: 'Thanks, in pairs' },
      { input: 'On Sundays?', output: 'Line 24.' },
    ],
    messages: [
      'Which tram, in pairs?',
      'Line 20.',
      'And back?',
      'Line 22.',
      'At night?',
      'Thanks, in pairs',
      'On Sundays?',
      'Line 24.',
    ],
  },
  'Open WebUI: with a search of the web': {
    document: {
      chat: {
        title: 'Trams',
        history: {
          currentId: 's2',
          messages: {
            s1: {
              id: 's1',
              parentId: null,
              childrenIds: ['s2'],
              role: 'user',
              content: 'Which tram, searched?',
              timestamp: 1735689600,
              models: ['m'],
            },
            s2: {
              id: 's2',
              parentId: 's1',
              childrenIds: [],
              role: 'assistant',
              content: 'Line 26 [1].',
              timestamp: 1735689610,
              done: true,
              statusHistory: [
                {
                  done: true,
                  action: 'web_search',
                  description: 'Searched {{count}} sites',
                  query: 'tram to the lake',
                  urls: ['https://example.com'],
                },
              ],
              sources: [
                {
                  source: { name: 'tram to the lake', type: 'web_search' },
                  document: ['All lines of the town'],
                  metadata: [{ source: 'https://example.com' }],
                },
              ],
            },
          },
        },
      },
    },
    messages: ['Which tram, searched?', 'Line 26 [1].'],
  },
}
