# futaie.fish - completion of futaie's command line in fish; what a word may become, `futaie complete` says

function __futaie_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l word (commandline --current-token --cut-at-cursor)
    set -l head (string match --regex -- '^--[^=]*=' "$word")
    for candidate in ($words[1] complete $words[2..] "$word" 2>/dev/null)
        switch $candidate
            case :files
                printf '%s\n' "$head"(__fish_complete_path (string replace -- "$head" '' "$word"))
            case :directories
                printf '%s\n' "$head"(__fish_complete_directories (string replace -- "$head" '' "$word"))
            case '*'
                echo $candidate
        end
    end
end

complete --command futaie --no-files --keep-order --arguments '(__futaie_complete)'
