import tseslint from 'typescript-eslint';
import vitest from '@vitest/eslint-plugin';

// Restated for workflows and planning: whatever they touch must replay identically for years.
const deterministic = {
  'no-restricted-globals': [
    'error',
    { name: 'process', message: 'Workflow and planning code must be deterministic: pass the value in.' },
    { name: 'Buffer', message: 'Workflow and planning code must not need Node.' },
    { name: 'setInterval', message: 'Use sleep() in workflows; planning has no time.' },
  ],
  'no-restricted-imports': [
    'error',
    {
      patterns: [
        {
          group: ['node:*', 'fs', 'path', 'crypto', 'zod', 'yaml', 'pino', 'pg', '**/definitions/schema/**'],
          message:
            'Workflow and planning code reaches only planning, definitions/contracts and definitions/errors.',
        },
      ],
    },
  ],
};

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', '.syncline/**', '.cache/**', 'test/replay/histories/**'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js', '.dependency-cruiser.cjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      'max-lines': ['error', { max: 400, skipBlankLines: false, skipComments: false }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 3],
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  { files: ['workflows/**/*.ts', 'planning/**/*.ts', 'definitions/contracts/**/*.ts'], rules: deterministic },
  {
    files: ['test/**/*.ts'],
    plugins: { vitest },
    rules: {
      'max-lines': ['error', { max: 600 }],
      'max-lines-per-function': 'off',
      'vitest/no-focused-tests': 'error',
      'vitest/no-disabled-tests': 'error',
      'vitest/no-identical-title': 'error',
      'vitest/expect-expect': [
        'error',
        { assertFunctionNames: ['expect', 'expect*', 'assert*', 'fc.assert'] },
      ],
    },
  },
  { files: ['*.js', '*.cjs'], ...tseslint.configs.disableTypeChecked },
);
