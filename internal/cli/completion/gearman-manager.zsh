#compdef gearman-manager
# zsh completion of gearman-manager. Put this file into a directory of $fpath with the
# name _gearman-manager, or have a shell read it:
#   source <(gearman-manager completion zsh)
_gearman_manager() {
    local kind line
    local -a names texts
    {
        IFS= read -r kind
        while IFS= read -r line; do
            names+=("${line%%$'\t'*}")
            texts+=("${line/$'\t'/  -- }")
        done
    } < <("${words[1]}" complete zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    case $kind in
    files) compset -P '--[^=]#='; _files ;;
    dirs) compset -P '--[^=]#='; _files -/ ;;
    open) compadd -l -S '' -d texts -a names ;;
    *) compadd -l -d texts -a names ;;
    esac
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _gearman_manager "$@"
else
    compdef _gearman_manager gearman-manager
fi
