<?php

class Thrice
{
    public static function of($text)
    {
        return str_repeat($text, 3);
    }
}
