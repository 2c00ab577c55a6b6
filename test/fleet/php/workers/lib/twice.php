<?php

function twice($text)
{
    return $text . $text;
}
